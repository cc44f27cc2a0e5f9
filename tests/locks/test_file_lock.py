import signal

import pytest

from geocache.exceptions import UpdateBusy
from geocache.locks.file_lock import exclusive_lock
from tests.support import processes

BUSY = UpdateBusy("another is at work")


def test_exclusive_lock__is_for_one_and_free_again(tmp_path):
    path = tmp_path / "made" / ".lock"
    first, second = (exclusive_lock(path, busy=BUSY) for _ in range(2))
    with first, pytest.raises(UpdateBusy, match="at work"), second:
        pass
    with exclusive_lock(path, busy=BUSY):
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_exclusive_lock__tells_that_it_waits(tmp_path, monkeypatch):
    monkeypatch.setattr("geocache.locks.file_lock.POLL_SECONDS", 0.001)
    path, calls = tmp_path / ".lock", []
    second = exclusive_lock(path, busy=BUSY, wait_seconds=0.02, waiting=lambda: calls.append(1))
    with exclusive_lock(path, busy=BUSY), pytest.raises(UpdateBusy), second:
        pass
    assert calls


@pytest.mark.slow
def test_exclusive_lock__of_a_process_that_was_killed_is_free(tmp_path):
    path = tmp_path / ".lock"
    process = processes.start_script(
        "import time\n"
        "from pathlib import Path\n"
        "from geocache.exceptions import UpdateBusy\n"
        "from geocache.locks.file_lock import exclusive_lock\n"
        f"with exclusive_lock(Path({str(path)!r}), busy=UpdateBusy('held')):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UpdateBusy), exclusive_lock(path, busy=BUSY):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with exclusive_lock(path, busy=BUSY):
        pass
