import os
import tempfile
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from geocache.blocklists.request import ask_for
from geocache.blocklists.schedule import Result, import_due
from geocache.models import ImportSource
from tests.factories import use_dummy_provider
from tests.support.blocklists import listed

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(settings: Any, tmp_path: Path) -> Path:
    use_dummy_provider(settings)
    path = tmp_path / "own.txt"
    path.write_text("1.1.1.1\n")
    sources = {"own": str(path)}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": sources, "IMPORT_HOURS": 6}
    return path


def results(**later: float) -> list[Result]:
    return list(import_due(at=timezone.now() + timedelta(**later)))


@pytest.mark.usefixtures("path")
def test_import_due__each_list_once_in_its_hours() -> None:
    (one,) = results()
    assert one.outcome is not None
    assert one.outcome.added_count == 1
    assert listed("own") == ["1.1.1.1"]
    assert results(hours=5) == []
    (again,) = results(hours=6)
    assert again.outcome is not None
    assert again.outcome.status == "unchanged"


@pytest.mark.usefixtures("path")
def test_import_due__what_somebody_asked_for_is_due_at_once() -> None:
    results()
    assert ask_for(ImportSource.objects.get())
    assert len(results()) == 1


def test_import_due__failure_is_kept_and_tried_again_in_an_hour(path: Path) -> None:
    path.write_text("Sorry")
    (one,) = results()
    assert one.problem.startswith("nothing in it is an address")
    assert ImportSource.objects.get().problem == one.problem
    assert results(minutes=50) == []
    path.write_text("1.1.1.1\n")
    (again,) = results(hours=1)
    assert again.outcome is not None
    assert ImportSource.objects.get().problem == ""


def test_import_due__failure_is_forgotten_when_somebody_imports_the_list(path: Path) -> None:
    path.write_text("Sorry")
    results()
    path.write_text("1.1.1.1\n")
    for _ in ("new", "unchanged"):
        ImportSource.objects.update(problem="nothing in it is an address")
        call_command("import_geo", str(path), stdout=StringIO())
        assert ImportSource.objects.get().problem == ""


def test_import_due__pipe_or_device_keeps_no_other_list_waiting(
    path: Path, tmp_path: Path, settings: Any
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sources = {"in": "-", "pipe": str(pipe), "null": "/dev/null", "own": str(path)}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": sources}
    *refused, good = results()
    assert all("the scheduler reads files and URLs" in one.problem for one in refused)
    assert good.outcome is not None


@pytest.mark.usefixtures("path")
def test_import_due__stops_when_it_is_told_to() -> None:
    assert list(import_due(is_stopped=lambda: True)) == []
    assert not ImportSource.objects.exists()


@pytest.mark.usefixtures("path")
def test_import_due__stopped_in_its_middle_goes_on_with_the_next_start() -> None:
    answers = iter([False, True])
    (one,) = import_due(is_stopped=lambda: next(answers, True))
    assert (one.outcome, one.problem) == (None, "")
    (again,) = results()
    assert again.outcome is not None
    assert again.outcome.added_count == 1


@pytest.mark.usefixtures("path")
def test_import_due__one_that_ended_without_a_word_goes_on_soon() -> None:
    ImportSource.objects.create(name="own", attempted_at=timezone.now())
    assert results(minutes=4) == []
    assert len(results(minutes=6)) == 1


def test_ask_for__a_list_that_is_not_in_the_settings_is_refused() -> None:
    source = ImportSource.objects.create(name="once", attempted_at=timezone.now())
    assert not ask_for(source)
    source.refresh_from_db()
    assert source.attempted_at is not None


def test_import_due__name_that_no_column_takes_stops_no_other_list(
    path: Path, settings: Any
) -> None:
    sources = {"a" * 101: str(path), "own": str(path)}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": sources}
    bad, good = results()
    assert bad.problem == f"the name {'a' * 20!r}... of a list is longer than 100 letters"
    assert good.outcome is not None


def test_import_due__no_room_for_temporary_files_is_a_problem_of_the_list(
    path: Path, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    var = tmp_path / "var"
    settings.GEOCACHE = {**settings.GEOCACHE, "VAR_DIR": str(var)}
    (one,) = results()
    assert one.problem == (
        f"it cannot be kept: nothing can be written to a temporary folder (TMPDIR) nor in {var}"
    )
    # Also of a list that never came.
    out = StringIO()
    call_command("status_geo", stdout=out)
    assert one.problem in " ".join(out.getvalue().split())
    # VAR_DIR does as well.
    var.mkdir()
    (again,) = results(hours=1)
    assert again.outcome is not None
    assert listed("own") == ["1.1.1.1"]
    assert path.exists()


@pytest.mark.usefixtures("path")
def test_import_due__error_of_the_disk_is_a_problem_of_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("geocache.blocklists.sources.content_of", fail)
    (one,) = results()
    assert one.problem == "[Errno 28] No space left on device"
    assert ImportSource.objects.get().problem == one.problem
