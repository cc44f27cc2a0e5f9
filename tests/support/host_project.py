"""A small project of a host, whose own tests are run by real processes."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOST = Path(__file__).resolve().parent.parent / "testing" / "host"
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--ds", "mysite.settings")
PATIENCE_SECONDS = 120


class HostProject:
    """The project in a folder, with a database and two answers that wait to be saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(HOST, folder, dirs_exist_ok=True)
        (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
        self.manage("migrate", "--verbosity", "0")
        self.manage("lookup_geo", "4.4.4.4", "3.3.3.3")

    def manage(self, *arguments: str) -> str:
        return self.run("manage.py", *arguments)

    def run(self, *arguments: str) -> str:
        """Run Python in the folder; return what it wrote."""
        names = ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST")
        kept = {name: value for name, value in os.environ.items() if name not in names}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={name: value for name, value in kept.items() if not name.startswith("GEOCACHE_")},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def var_files(self) -> dict[str, str]:
        """Return a digest of each file that the site has in its folder."""
        found = (path for path in (self.folder / "var").rglob("*") if path.is_file())
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
