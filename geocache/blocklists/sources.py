"""Where a list comes from: a file, standard input, or a URL of a host that the settings name."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.utils.crypto import salted_hmac

from geocache import conf
from geocache.blocklists.foreign import SQLITE
from geocache.blocklists.formats.base import Options
from geocache.blocklists.import_options import told_apart_by
from geocache.blocklists.names import name_problem
from geocache.blocklists.runs import READER_VERSION
from geocache.blocklists.spool import (
    Spooled,
    disk_errors,
    snapshot,
    spooled,
    temporary_file,
    temporary_folder,
)
from geocache.downloads.limits import Deadline
from geocache.downloads.statuses import LIST
from geocache.downloads.urls import host_of, read_url
from geocache.exceptions import ImportFailed, MissingExtra, UpdateError
from geocache.models import ImportSource
from geocache.models.connection import writing_alias
from geocache.standard_input import STANDARD_INPUT, open_input

if TYPE_CHECKING:
    from geocache.downloads.client import Fetched, Progress


@dataclass(frozen=True, slots=True)
class Origin:
    """One list: its name, its place, a path, ``-`` or a URL, and how it is read."""

    name: str
    place: str
    options: Options = field(default_factory=Options)

    @property
    def is_url(self) -> bool:
        """Tell whether it has to be fetched."""
        return "://" in self.place

    @property
    def shown(self) -> str:
        """Return the place without what may be a key: of a URL its host."""
        return shown_place(self.place)


@dataclass(frozen=True, slots=True)
class Content:
    """What came from an origin, and how the service will know whether it has changed."""

    spooled: Spooled
    fetched: "Fetched | None" = None


def shown_place(place: str) -> str:
    """Return a place without what may be a key: of a URL its host."""
    return (host_of(place) or "that URL") if "://" in place else place


def find_origin(text: str, name: str = "") -> Origin:
    """Return the list that ``text`` means: a name of ``IMPORT_SOURCES``, a path, ``-`` or a URL.

    Raises ``ImportFailed`` when it has no name.
    """
    configured = conf.get("IMPORT_SOURCES")
    if text in configured:
        name = name or text
        if problem := name_problem(name):
            raise ImportFailed(problem)
        return Origin(name, str(configured[text]))
    # A place that the settings name has its name there.
    named = next((one for one, place in configured.items() if str(place) == text), "")
    name = name or named or ("" if text == STANDARD_INPUT else _name_of(text))
    if name_problem(name):
        raise ImportFailed(
            f"say with --name what the list from {shown_place(text)[:80]!r} is called"
        )
    return Origin(name, text)


def configured_origins() -> list[Origin]:
    """Return the lists of the settings."""
    return [Origin(name, str(place)) for name, place in conf.get("IMPORT_SOURCES").items()]


@contextmanager
def content_of(
    origin: Origin,
    *,
    is_conditional: bool = True,
    is_stopped: Callable[[], bool] = lambda: False,
    progress: "Progress" = lambda *_: None,
) -> Iterator[Content | None]:
    """Give the content of a list for a while, None when its service says that it is the same.

    It is the same only if the table holds what came last. Raises ``ImportFailed``.
    """
    folder = temporary_folder(conf.var_dir())
    if origin.is_url:
        with _fetched(origin, folder, is_conditional, is_stopped, progress) as content:
            yield content
    else:
        with _opened(origin.place, folder, is_stopped) as content:
            yield content


@contextmanager
def _opened(path: str, folder: str, is_stopped: Callable[[], bool]) -> Iterator[Content]:
    try:
        file = open_input(path)  # closed below; what fails there is another's error
    except (OSError, ValueError) as error:
        raise ImportFailed(f"{path!r} cannot be read: {_reason(error)}") from error
    with file:
        try:
            is_database = file.peek(len(SQLITE))[: len(SQLITE)] == SQLITE
        except OSError as error:
            raise ImportFailed(f"{path!r} cannot be read: {_reason(error)}") from error
        if is_database and path != STANDARD_INPUT:
            # Another process may be writing to it.
            with snapshot(path, folder) as whole, spooled(whole, folder, is_stopped) as kept:
                yield Content(kept)
            return
        with spooled(file, folder, is_stopped) as kept:
            yield Content(kept)


@contextmanager
def _fetched(
    origin: Origin,
    folder: str,
    is_conditional: bool,
    is_stopped: Callable[[], bool],
    progress: "Progress",
) -> Iterator[Content | None]:
    try:
        from geocache.downloads.client import Client  # noqa: PLC0415 - its library takes 0.1 s, and may be absent
    except MissingExtra as error:
        raise ImportFailed(str(error)) from error
    _refuse_host(origin.place)
    client = Client(
        None,
        Deadline(
            time.monotonic() + conf.get("IMPORT_TIME_LIMIT_SECONDS"),
            is_stopped,
            setting="IMPORT_TIME_LIMIT_SECONDS",
        ),
        kind=LIST,
        max_bytes=conf.get("IMPORT_MAX_BYTES"),
        redirect_hosts=sorted(allowed_hosts()),
    )
    with temporary_file(folder) as target:
        try:
            with disk_errors(folder):
                fetched = client.fetch(
                    origin.place,
                    target,
                    headers=_conditions(origin) if is_conditional else {},
                    progress=progress,
                )
        except UpdateError as error:
            raise ImportFailed(str(error)) from error
        if fetched is None:
            yield None
            return
        target.seek(0)
        with spooled(target, folder, is_stopped) as kept:
            yield Content(kept, fetched)


def remember(origin: Origin, fetched: "Fetched") -> None:
    """Remember by what the service knows the content that the table holds now."""
    ImportSource.objects.filter(name=origin.name).update(
        url_digest=_digest(fetched.url, origin.options),
        etag=fetched.etag[:1000],
        last_modified=fetched.last_modified[:100],
    )


def allowed_hosts() -> set[str]:
    """Return the hosts that lists may be fetched from."""
    places = [str(place) for place in conf.get("IMPORT_SOURCES").values()]
    return {host_of(place) for place in places if "://" in place} | {
        str(name).lower() for name in conf.get("IMPORT_HOSTS")
    }


def _refuse_host(url: str) -> None:
    try:
        host = read_url(url).host
    except UpdateError as error:
        raise ImportFailed(str(error)) from error
    if host not in allowed_hosts():
        raise ImportFailed(f"{host} is not asked: add it to IMPORT_HOSTS first")


def _conditions(origin: Origin) -> dict[str, str]:
    """Return the headers that ask only for what is not in the table."""
    sources = ImportSource.objects.using(writing_alias())
    known = sources.filter(
        name=origin.name,
        url_digest=_digest(origin.place, origin.options),
        current_run__reader_version=READER_VERSION,
    ).first()
    if known is None:
        return {}
    given = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in given.items() if value}


def _digest(url: str, options: Options) -> str:
    """Return what tells whether a URL is still the same and read the same, and not what it is."""
    told = f"{url}{told_apart_by(options)}"
    return salted_hmac("geocache.blocklists", told, algorithm="sha256").hexdigest()


def _name_of(place: str) -> str:
    """Return what a list is called: the name of its file, without endings."""
    path = urlsplit(place).path if "://" in place else place
    name = Path(path).name
    return name.partition(".")[0] or host_of(place)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
