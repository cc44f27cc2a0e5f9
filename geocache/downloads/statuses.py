"""What a status other than 200 means for a download, and what to do about it."""

from dataclasses import dataclass
from typing import Final

from geocache.exceptions import NotPublished, UpdateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is fetched, in the words of errors, and the setting of hosts that redirects may name."""

    name: str
    access_hint: str
    missing_hint: str
    hosts_setting: str


DATABASE: Final = Kind(
    name="database",
    access_hint="check account, key and edition",
    missing_hint="check its name",
    hosts_setting="UPDATE_REDIRECT_HOSTS",
)
LIST: Final = Kind(
    name="list",
    access_hint="check its URL, and the key in it if there is one",
    missing_hint="check its URL",
    hosts_setting="IMPORT_HOSTS",
)
# By status; "{access}", "{missing}" and "{name}" are those of the kind.
MEANINGS: Final = {
    202: "has not made it yet ({status}); try again later",
    203: "answers with what a proxy has changed ({status}); ask without that proxy",
    204: "answers without any content ({status}); {missing}",
    205: "answers without any content ({status}); {missing}",
    206: "answers with a part only ({status}), which it was not asked for; try again",
    300: "offers several to choose from ({status}); use the URL of one",
    305: "wants to be asked through a proxy ({status}); set HTTPS_PROXY",
    400: "does not understand the request ({status}); {missing}",
    401: "refuses access ({status}); {access}",
    402: "wants to be paid ({status}); see to the account's plan or bill",
    403: "refuses access ({status}); {access}",
    404: "has no such {name} ({status}); {missing}",
    405: "does not offer it as a download ({status}); {missing}",
    406: "does not offer it in a form that is asked for ({status}); {missing}",
    407: "is behind a proxy that wants a name and a password ({status}); put them into HTTPS_PROXY",
    408: "did not get the request in time ({status}); try again, the line is slow",
    409: "has it in a state in which it cannot be had ({status}); try again later",
    410: "has that {name} no longer ({status}); look for where it is now, or do without it",
    413: "finds the request too large ({status}); {missing}",
    414: "finds the URL too long ({status}); {missing}",
    418: "does not answer programs ({status}); ask its owner, or use another source",
    421: "is not the one that answers for this name ({status}); check proxy and DNS",
    423: "has locked it ({status}); try again later",
    425: "does not take a request so early in a connection ({status}); try again",
    426: "wants another protocol ({status}), which is not spoken here; use another source",
    431: "finds the request too large ({status}); {missing}",
    451: "may not offer it for legal reasons ({status}); use another source",
    501: "cannot answer such a request ({status}); {missing}",
    505: "cannot answer such a request ({status}); {missing}",
    511: "is behind a network that wants a log-in first ({status}); log in there",
}
# By hundreds, for the others.
OTHERS: Final = {
    2: "answers {status}, with which no {name} comes; {missing}",
    3: "answers {status}, a redirect that is not followed; {missing}",
    4: "refuses the request ({status}); {missing}",
    5: "answers {status}; try again later",
}
UNHEARD_OF: Final = "answers {status}, which no status means; {missing}"
# Nothing is at that address: another one may be tried.
MISSING: Final = (404, 410)


def failure_of(status: int, host: str, kind: Kind) -> UpdateError:
    """Return the failure that a status means, in one line."""
    words = MEANINGS.get(status) or OTHERS.get(status // 100, UNHEARD_OF)
    said = words.format(
        status=status, name=kind.name, access=kind.access_hint, missing=kind.missing_hint
    )
    return (NotPublished if status in MISSING else UpdateError)(f"{host} {said}")
