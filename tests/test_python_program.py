import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from geocache.python_program import module_command, module_environment, python_program


def test_python_program__is_the_one_that_runs() -> None:
    assert python_program() == sys.executable


@pytest.mark.parametrize("executable", ["", None, "/usr/bin/uwsgi"])
def test_python_program__inside_of_another_program(
    monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    assert Path(python_program()).resolve() == Path(sys.exec_prefix, "bin/python3").resolve()


def test_python_program__prefix_without_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    monkeypatch.setattr(sys, "exec_prefix", str(tmp_path))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert python_program() == str(Path(sys.base_exec_prefix, "bin", version))
    monkeypatch.setattr(sys, "base_exec_prefix", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "access", lambda path, _: path.startswith("/usr/bin/python3"))
    assert python_program() == f"/usr/bin/{version}"
    # Nothing at all: what cannot be started says so.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert python_program() == str(tmp_path / "bin" / version)


def test_module_command__finds_modules_where_this_process_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "told.py").write_text("import os, sys; print(sys.argv[1], os.environ['EXTRA'])")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = subprocess.run(
        module_command("told", "word"),
        env=module_environment(EXTRA="more"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "word more\n"
