"""What a list can be called; apart from what imports, whose libraries no other process loads."""

from typing import Final

NAME_LENGTH: Final = 100


def name_problem(name: object) -> str:
    """Return why a list cannot be called ``name``, or the empty text."""
    if not isinstance(name, str) or not name or not name.isprintable():
        return f"{str(name)[:20]!r} cannot be the name of a list: it has to be printable text"
    if len(name) > NAME_LENGTH:
        return f"the name {name[:20]!r}... of a list is longer than {NAME_LENGTH} letters"
    return ""
