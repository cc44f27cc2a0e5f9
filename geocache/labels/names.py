"""What a label can be called, and which label a list has."""

from collections.abc import Mapping

from geocache import conf
from geocache.traits import LABEL, MAX_LENGTH


def label_problem(label: object) -> str:
    """Return why ``label`` cannot be one, or the empty text."""
    if isinstance(label, str) and LABEL.fullmatch(label):
        return ""
    shown = repr(label)
    shown = shown if len(shown) <= MAX_LENGTH + 2 else f"{shown[:MAX_LENGTH]}..."
    return (
        f"label is {shown}; it has to be a short name of a-z, 0-9 and _, such as vpn, "
        f"of at most {MAX_LENGTH} letters"
    )


def labels_of_settings() -> dict[str, str]:
    """Return the labels of ``IMPORT_OPTIONS`` by the name of the list; those that can be used."""
    found = {}
    for name, options in conf.get("IMPORT_OPTIONS").items():
        label = options.get("label") if isinstance(options, Mapping) else None
        if not label_problem(label):
            found[name] = str(label)
    return found


def label_of(name: str, by_hand: str) -> str:
    """Return the label of the list ``name``, empty if it has none.

    ``by_hand`` is the one of its row, which the command or the admin has given: it wins.
    """
    return by_hand or labels_of_settings().get(name, "")
