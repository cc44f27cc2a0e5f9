import subprocess
import sys
from pathlib import Path

import pytest

from geocache.locks import process_identity
from geocache.locks.process_identity import describe, is_gone, this_holder
from geocache.models import SchedulerLease


def test_is_gone__not_this_process() -> None:
    assert not is_gone(this_holder())


@pytest.mark.slow
def test_is_gone__a_process_that_has_ended() -> None:
    code = "from geocache.locks.process_identity import this_holder; print(this_holder())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert is_gone(said.stdout.strip())


def test_is_gone__another_process_with_its_number() -> None:
    host, boot, pid, started, token = this_holder().split()
    assert is_gone(f"{host} {boot} {pid} {int(started) - 1} {token}")


@pytest.mark.parametrize(
    "holder", ["", "web1 elsewhere 1 2 3", "1", f"web1 {process_identity.boot()} 1 ? 1"]
)
def test_is_gone__nobody_can_tell(holder: str) -> None:
    assert not is_gone(holder)


def test_this_holder__without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_identity, "PROC", tmp_path)
    assert not is_gone(this_holder())


def test_describe__is_for_people() -> None:
    assert describe("web1 boot 4711 2 3") == "web1, process 4711"
    assert describe("web1:4711") == "web1:4711"


def test_this_holder__of_two_containers_that_look_alike(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As with a shared network or a fixed name: each is process 1 of "web"."""
    monkeypatch.setattr(process_identity, "PROC", tmp_path)
    monkeypatch.setattr("os.getpid", lambda: 1)
    monkeypatch.setattr("socket.gethostname", lambda: "web")
    assert this_holder() != this_holder()


def test_this_holder__fits_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "w" * 255)
    longest = SchedulerLease._meta.get_field("holder").max_length
    assert longest is not None
    assert len(this_holder()) <= longest
