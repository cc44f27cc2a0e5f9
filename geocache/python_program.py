"""How a module of this package is run by a Python process of its own. Knows nothing of Django."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path


def python_program() -> str:
    """Return Python's program: inside of another one, such as uWSGI, ``sys.executable`` is that."""
    if Path(sys.executable or "").name.startswith(("python", "pypy")):
        return sys.executable
    places = list(_places())
    return next((place for place in places if os.access(place, os.X_OK)), places[0])


def module_command(module: str, *arguments: str) -> list[str]:
    """Return what runs ``python -m module`` with ``arguments``."""
    return [python_program(), "-P", "-m", module, *arguments]


def module_environment(**variables: str) -> dict[str, str]:
    """Return an environment in which the module is found where this process found its own."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables


def _places() -> Iterator[str]:
    names = [f"python{sys.version_info.major}.{sys.version_info.minor}", "python3"]
    for prefix in (sys.exec_prefix, sys.base_exec_prefix):
        if os.name == "nt":
            yield from (str(Path(prefix, folder, "python.exe")) for folder in ("Scripts", ""))
        else:
            yield from (str(Path(prefix, "bin", name)) for name in names)
    yield from filter(None, map(shutil.which, names))
