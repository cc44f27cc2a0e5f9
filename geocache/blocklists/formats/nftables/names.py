"""What the words of a command of nftables name: a table, a set, the type of a set."""

from collections.abc import Iterator
from typing import Final

FAMILIES: Final = frozenset(("ip", "ip6", "inet", "arp", "bridge", "netdev"))
ADDRESS_TYPES: Final = frozenset(("ipv4_addr", "ipv6_addr"))
# Of a set whose type is an expression: ``ip saddr``, but not ``ether saddr`` or ``fib saddr type``.
ADDRESS_FIELDS: Final = frozenset(("saddr", "daddr", "nexthop"))
OTHER_FIELDS: Final = frozenset(("ether", "fib"))


def split_at_commas(words: list[str]) -> Iterator[list[str]]:
    """Give the words between commas."""
    part: list[str] = []
    for word in [*words, ","]:
        if word != ",":
            part.append(word)
        elif part:
            yield part
            part = []


def without_shell(words: list[str]) -> list[str]:
    """Return a command of ``nft`` that is written as a line of a shell without what calls it."""
    rest = words[1:] if words[0] == "sudo" else words
    if not rest or rest[0].rpartition("/")[2] != "nft":
        return words
    return [word for word in rest[1:] if not word.startswith("-")] or words


def table_name(names: list[str]) -> str:
    """Return family and name of a table."""
    has_family = bool(names) and names[0] in FAMILIES
    return _joined(names[:2] if has_family else ["ip", *names[:1]])


def set_name(names: list[str], table: str) -> str:
    """Return family, table and name; the name alone where a file does not say more."""
    if table:
        return _joined([table, *names[:1]])
    if names and names[0] in FAMILIES:
        return _joined(names[:3])
    return _joined(["ip", *names[:2]] if len(names) > 1 else names)


def _joined(names: list[str]) -> str:
    return " ".join(name.strip('"') for name in names)


def has_addresses(kind: str, words: list[str]) -> bool:
    """Tell whether the elements of a type have addresses."""
    if kind == "type":
        return not ADDRESS_TYPES.isdisjoint(words)
    fields = " ".join(words).split(" . ")
    return any(_is_address_field(set(field.split())) for field in fields)


def _is_address_field(words: set[str]) -> bool:
    return bool(words & ADDRESS_FIELDS) and not words & OTHER_FIELDS
