"""``python -m tests.benchmarks.install_size``: what the core and each extra install.

The wheel is built, and installed once for each into an empty folder.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path

from tests.support.processes import ROOT

CORE = "core"
# Django and what it requires, which a host has.
DJANGO = {"django", "asgiref", "sqlparse"}
# Beside Django, in megabytes.
LIMIT_MEGABYTES = 25


@dataclass(frozen=True, slots=True)
class Installed:
    """What one ``pip install`` brings: megabytes by package, as files of the disk without .pyc."""

    extra: str
    megabytes: dict[str, float]

    @property
    def own(self) -> dict[str, float]:
        """Return the packages without Django."""
        return {name: size for name, size in self.megabytes.items() if name not in DJANGO}

    @property
    def total(self) -> float:
        """Return the megabytes beside Django."""
        return sum(self.own.values())


def main() -> None:
    """Install and print."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [CORE, *extras["optional-dependencies"]]
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.install_size", description=__doc__
    )
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = [install(name, Path(folder)) for name in dict.fromkeys([CORE, *options.only])]
    core = found[0]
    if options.json:
        json.dump([asdict(one) | {"total": one.total} for one in found], sys.stdout)
        print()
    else:
        show(core, found)
    if core.total > LIMIT_MEGABYTES:
        sys.exit(f"The core has {core.total:.1f} MB beside Django, above {LIMIT_MEGABYTES}.")


def install(extra: str, folder: Path) -> Installed:
    """Install the wheel with one extra, and measure it."""
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("uv is not installed.")
    if not (folder / "dist").exists():
        run(uv, "build", "--quiet", "--wheel", "--out-dir", folder / "dist", ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    chosen = "" if extra == CORE else f"[{extra}]"
    target = folder / extra
    run(
        *(uv, "pip", "install", "--quiet", "--python", sys.executable),
        *("--target", target, f"geocache{chosen} @ {wheel.as_uri()}"),
    )
    return Installed(extra, dict(sorted(measured(target))))


def run(*command: str | Path) -> None:
    # What Python compiles later is not counted.
    kept = {name: text for name, text in os.environ.items() if name != "UV_COMPILE_BYTECODE"}
    subprocess.run([str(part) for part in command], check=True, env=kept)


def measured(target: Path):
    """Yield each package in a folder, with its megabytes."""
    for one in distributions(path=[str(target)]):
        paths = [Path(str(one.locate_file(file))) for file in one.files or ()]
        size = sum(path.stat().st_size for path in paths if path.is_file())
        yield one.name.lower().replace("_", "-"), size / 1e6


def show(core: Installed, found: list[Installed]) -> None:
    print(f"{'':<12}{'packages':>9}{'MB':>8}   beside Django")
    for one in found:
        added = one.own.keys() - (set() if one is core else core.own.keys())
        size = sum(one.own[name] for name in added)
        listed = ", ".join(f"{name} {one.own[name]:.1f}" for name in sorted(added))
        sign = "" if one is core else "+"
        print(f"{one.extra:<12}{sign + str(len(added)):>9}{f'{sign}{size:.1f}':>8}   {listed}")


if __name__ == "__main__":
    main()
