import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geocache import checks, status
from geocache.providers import mounted_files
from geocache.providers.mounted_files import is_replaced_outside
from tests.conftest import require
from tests.factories import CITY_RECORD, an_mmdb

pytestmark = pytest.mark.any_services

MOUNTING = shutil.which("unshare") and os.geteuid() == 0
PROGRAM = """
import sys
from pathlib import Path
from geocache.providers.mounted_files import is_replaced_outside
print(is_replaced_outside(Path(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("outside", "is_replaced"),
    [
        ("true", False),
        ("mv outside/fresh outside/city.mmdb", True),
        ("ln outside/city.mmdb outside/kept && mv outside/fresh outside/city.mmdb", True),
        ("rm outside/city.mmdb", True),
        ("cat outside/fresh > outside/city.mmdb", False),
    ],
)
@pytest.mark.parametrize("name", ["city.mmdb", "with space.mmdb"])
def test_is_replaced_outside__of_a_real_mount(
    tmp_path: Path, outside: str, is_replaced: bool, name: str
) -> None:
    require(bool(MOUNTING), "right to mount")
    for folder in ("outside", "inside"):
        (tmp_path / folder).mkdir()
    for file in ("outside/city.mmdb", "outside/fresh", f"inside/{name}"):
        (tmp_path / file).write_text(file)
    command = (
        f"mount --bind outside/city.mmdb 'inside/{name}' && {outside} && "
        f'exec "$0" -c "$1" "{tmp_path}/inside/{name}"'
    )
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, sys.executable, PROGRAM],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == str(is_replaced)


@pytest.mark.parametrize("lines", ["", "\n", "nonsense", "36 35 98:0 /x"])
def test_is_replaced_outside__without_mounts_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(mounted_files, "MOUNTS", mounts)
    assert not is_replaced_outside(tmp_path)
    mounts.write_text(lines)
    assert not is_replaced_outside(tmp_path)


@pytest.mark.django_db
def test_check__and_status_say_that_a_mounted_file_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    path = an_mmdb(tmp_path / "city.mmdb", {"81.2.69.0/24": CITY_RECORD})
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [str(path)]}
    assert checks.check_doubts() == []
    (tmp_path / "mountinfo").write_text(
        f"36 35 98:0 /srv/city.mmdb//deleted {path} rw - ext4 x rw\n"
    )
    monkeypatch.setattr(mounted_files, "MOUNTS", tmp_path / "mountinfo")
    (told,) = checks.check_doubts()
    assert told.id == "geocache.W048"
    assert str(path) in told.msg
    assert "mount its folder" in told.msg
    assert status.read_status().doubts == (told.msg,)
