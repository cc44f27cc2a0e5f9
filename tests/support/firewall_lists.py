"""Random elements of sets, as a real firewall is given them and writes them."""

import subprocess
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import strategies as st

# A network of its own, so that it needs no rights to this machine's.
ALONE = ["unshare", "--net", "sh", "-c"]
BITS = {4: 32, 6: 128}
# From where the tools take and write addresses as addresses.
FIRST = {4: 2**24, 6: 2**112}


def output_of(command: str, text: str) -> str:
    """Run a command in a network namespace of its own; ``text`` is its input."""
    done = subprocess.run(
        [*ALONE, command], input=text, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def works(command: str) -> bool:
    """Tell whether a command can be run so."""
    try:
        return not subprocess.run([*ALONE, command], capture_output=True, check=False).returncode
    except OSError:
        return False


def to_address(version: int, number: int) -> IPv4Address | IPv6Address:
    """Return the address of a version that is ``number``."""
    return IPv4Address(number) if version == 4 else IPv6Address(number)


def addresses(version: int) -> st.SearchStrategy[str]:
    """Give addresses of one version."""
    numbers = st.integers(FIRST[version], 2 ** BITS[version] - 2**29)
    return numbers.map(lambda number: str(to_address(version, number)))


def networks(version: int, shortest: int = 4) -> st.SearchStrategy[str]:
    """Give networks of one version, of more than one address."""
    lengths = st.integers(shortest, BITS[version] - 1)
    return st.builds(
        lambda address, length: str(ip_network(f"{address}/{length}", strict=False)),
        addresses(version),
        lengths,
    )


def ranges(version: int) -> st.SearchStrategy[str]:
    """Give ranges of addresses of one version."""
    return st.builds(
        lambda address, count: f"{address}-{ip_address(address) + count}",
        addresses(version),
        st.integers(1, 2**28),
    )


def merged(texts: Iterable[str]) -> list[tuple[int, int, int]]:
    """Return the addresses that texts stand for together: version, first and last of each run."""
    runs: list[tuple[int, int, int]] = []
    for version, first, last in sorted(map(_run, texts)):
        if runs and runs[-1][0] == version and first <= runs[-1][2] + 1:
            runs[-1] = (version, runs[-1][1], max(last, runs[-1][2]))
        else:
            runs.append((version, first, last))
    return runs


def _run(text: str) -> tuple[int, int, int]:
    if "-" in text:
        first, last = map(ip_address, text.split("-"))
        return first.version, int(first), int(last)
    network = ip_network(text)
    return network.version, int(network.network_address), int(network.broadcast_address)
