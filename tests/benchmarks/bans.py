"""``python -m tests.benchmarks.bans``: how long ``nft`` takes for the file of bans.

Beside it the form of before, a command for each element, in turn. In a network namespace of its
own; needs ``nft``, ``unshare`` and the right to use them.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from geocache.bans.nftables import HEAD, NftablesAction
from tests.support.ban_actions import many_entries

TABLE = "inet geocache"
# Into sets that are empty, and once more, as each later import does.
TWICE = """
import resource, subprocess, sys, time
for _ in range(2):
    started = time.monotonic()
    subprocess.run(["nft", "-f", sys.argv[1]], check=True)
    print(time.monotonic() - started)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def main() -> None:
    """Write both forms of the same entries, load each, and print seconds, memory and the ratio."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bans", description=__doc__)
    parser.add_argument("--entries", type=int, default=500_000, help="that are banned (500000)")
    parser.add_argument(
        "--old-entries", type=int, default=20_000, help="for the comparison of both forms (20000)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ratio = _load(_an_old_file(folder, options.old_entries), "a command for each element")
        ratio /= _load(_a_file(folder, options.old_entries), "one command for each set")
        print(f"{options.old_entries:,} entries: {ratio:.1f} times as fast")
        started = time.perf_counter()
        path = _a_file(folder, options.entries)
        print(f"{options.entries:,} entries: written in {time.perf_counter() - started:.1f} s")
        _load(path, "one command for each set")


def _a_file(folder: Path, count: int) -> Path:
    path = folder / f"{count}.nft"
    NftablesAction(path=str(path)).replace(many_entries(count))
    return path


def _an_old_file(folder: Path, count: int) -> Path:
    path = folder / "old.nft"
    with path.open("w") as file:
        file.write(HEAD.format(table=TABLE))
        for entry in many_entries(count):
            name = "blocked6" if ":" in entry else "blocked4"
            file.write(f"add element {TABLE} {name} {{ {entry} }}\n")
    return path


def _load(path: Path, form: str) -> float:
    """Load a file twice, and return the seconds of the first time."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", TWICE, str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    first, again, megabytes = map(float, done.stdout.split())
    print(f"  {form:<28}{first:6.1f} s, again {again:6.1f} s, {megabytes:,.0f} MiB of nft")
    return first


if __name__ == "__main__":
    main()
