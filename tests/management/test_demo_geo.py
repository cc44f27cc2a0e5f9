import io
import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError
from django.http import HttpRequest

from geocache.addresses import parse_address, special_reason
from geocache.management import address_input
from geocache.management.commands import demo_geo
from geocache.management.commands.demo_geo import SAMPLE, check_port
from geocache.models import GeoCache
from tests.factories import LONDON, MOSCOW_V6, a_location, a_row, use_dummy_provider
from tests.support.commands import run, start

READY = "Ctrl-C ends it."


@pytest.fixture(autouse=True)
def debug(settings: Any) -> None:
    # The demo runs for a developer alone, and pytest turns DEBUG off.
    settings.DEBUG = True


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


@pytest.fixture
def addresses(tmp_path: Path) -> str:
    path = tmp_path / "addresses"
    path.write_text(f"{LONDON}\n{MOSCOW_V6}\n")
    return str(path)


def demonstrated(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("demo_geo", "--no-serve", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def password(out: str) -> str:
    match = re.search(r"password (\S+)$", out, re.MULTILINE)
    assert match
    return match[1]


def sample() -> list[str]:
    with address_input.opened(str(SAMPLE)) as file:
        return [one for chunk in address_input.from_file(file) for one in chunk.addresses]


def test_sample__is_a_few_thousand_public_addresses() -> None:
    found = list(map(parse_address, sample()))
    assert len(set(found)) == len(found) == 3000
    assert not any(map(special_reason, found))
    assert {address.version for address in found} == {4, 6}


@pytest.mark.django_db(transaction=True)
def test_demo_geo__looks_up_flushes_and_shows_figures(settings: Any, addresses: str) -> None:
    use_dummy_provider(settings, answers={LONDON: {"country_code": "GB"}})
    out, err = demonstrated("--addresses", addresses)
    assert "2 answers are dirty" in out
    assert re.search(r"^Addresses +2, of which 1 were found$", out, re.MULTILINE)
    assert re.search(r"^Flushed +2 in ", out, re.MULTILINE)
    assert out.endswith("\nDummy 1\n")
    assert GeoCache.objects.count() == 2
    assert authenticate(HttpRequest(), username="admin", password=password(out))
    assert err == ""


@pytest.mark.django_db(transaction=True)
def test_demo_geo__works_a_second_time(settings: Any, addresses: str) -> None:
    use_dummy_provider(settings)
    first, _ = demonstrated("--addresses", addresses)
    second, _ = demonstrated("--addresses", addresses)
    assert "No answer is dirty" in second
    assert password(first) != password(second)
    assert authenticate(HttpRequest(), username="admin", password=password(second))


@pytest.mark.django_db(transaction=True)
def test_demo_geo__json_is_all_that_is_on_stdout(settings: Any, addresses: str) -> None:
    use_dummy_provider(settings)
    out, err = demonstrated("--json", "--addresses", addresses)
    figures = json.loads(out)
    assert (figures["addresses"], figures["flushed"], figures["rows"]) == (2, 2, 2)
    assert "one-time password" in err


@pytest.mark.django_db(transaction=True)
def test_demo_geo__names_bad_lines_and_goes_on(settings: Any, tmp_path: Path) -> None:
    use_dummy_provider(settings)
    path = tmp_path / "addresses"
    path.write_text(f"{LONDON}\nfoo\n")
    out, err = demonstrated("--addresses", str(path))
    assert err == "line 2: 'foo' is not an IP address\n"
    assert "1 answers are dirty" in out


@pytest.mark.parametrize(("text", "problem"), [("# none\n", "has no addresses"), (None, "No such")])
def test_demo_geo__without_addresses_nothing_is_begun(
    tmp_path: Path, text: str | None, problem: str
) -> None:
    path = tmp_path / "addresses"
    if text is not None:
        path.write_text(text)
    # Without django_db: touching the database would fail the test.
    with pytest.raises(CommandError, match=problem):
        demonstrated("--addresses", str(path))


@pytest.fixture
def no_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in the wheel, which has no sample."""
    monkeypatch.setattr(demo_geo, "SAMPLE", tmp_path / "gone" / "sample_addresses.txt")


@pytest.mark.usefixtures("no_sample")
def test_demo_geo__without_the_sample_says_what_to_do_before_the_work() -> None:
    # Without django_db: touching the database would fail the test.
    with pytest.raises(CommandError, match=r"is not installed: .* with --addresses\.$"):
        demonstrated()


@pytest.mark.usefixtures("no_sample")
@pytest.mark.django_db(transaction=True)
def test_demo_geo__own_addresses_need_no_sample(settings: Any, addresses: str) -> None:
    use_dummy_provider(settings)
    demonstrated("--addresses", addresses)
    demonstrated("--addresses", addresses)
    assert GeoCache.objects.count() == 2


@pytest.mark.parametrize("text", ["0", "65536", "-1", "x", "\u0661", "9" * 5000])
def test_demo_geo__refuses_a_port(text: str) -> None:
    with pytest.raises(CommandError, match="is not a port, a number from 1 to 65535"):
        call_command("demo_geo", f"--port={text}")


def test_check_port__one_that_is_taken(taken_port: int) -> None:
    with pytest.raises(CommandError, match=r"Address already in use\. Choose another --port"):
        check_port(taken_port)


def test_check_port__one_that_is_free(free_port: int) -> None:
    check_port(free_port)


def test_demo_geo__a_taken_port_is_said_before_the_work(taken_port: int) -> None:
    # Without django_db: touching the database would fail the test.
    with pytest.raises(CommandError, match="Address already in use"):
        call_command("demo_geo", f"--port={taken_port}")


# --- whose table is it? ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_demo_geo__a_table_with_rows_of_its_own_stays_as_it_is(
    settings: Any, addresses: str
) -> None:
    use_dummy_provider(settings)
    a_row("1.1.1.1")
    with pytest.raises(CommandError, match=r"the table has rows of its own.* --force\.$"):
        demonstrated("--addresses", addresses)
    assert [row.address for row in GeoCache.objects.all()] == ["1.1.1.1"]
    assert not get_user_model().objects.exists()
    demonstrated("--force", "--addresses", addresses)
    assert GeoCache.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_demo_geo__rows_of_another_demo_are_none_of_its_own(settings: Any, addresses: str) -> None:
    use_dummy_provider(settings)
    GeoCache.objects.upsert([a_location(one) for one in sample()[:3000:500]])
    demonstrated("--addresses", addresses)
    assert GeoCache.objects.count() == 8


@pytest.mark.django_db(transaction=True)
def test_demo_geo__after_look_ups_on_its_pages_it_can_be_run_again(
    settings: Any, addresses: str
) -> None:
    use_dummy_provider(settings)
    demonstrated("--addresses", addresses)
    a_row("1.1.1.1")
    demonstrated("--addresses", addresses)
    assert GeoCache.objects.count() == 3


# --- with real processes -----------------------------------------------------------------------


def serving(tmp_path: Path, addresses: str, port: int) -> subprocess.Popen[str]:
    return start(tmp_path / "var", "demo_geo", "--addresses", addresses, "--port", str(port))


def read_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    out = ""
    for line in process.stdout:
        out += line
        if READY in line:
            return out
    raise AssertionError(out + (process.stderr.read() if process.stderr else ""))


def children_of(process: subprocess.Popen[str]) -> list[int]:
    pids = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in pids]


def is_running(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_demo_geo__serves_until_a_signal_and_leaves_nothing_behind(
    tmp_path: Path, addresses: str, free_port: int, number: signal.Signals
) -> None:
    process = serving(tmp_path, addresses, free_port)
    out = read_until_ready(process)
    pages = re.findall(r"http://\S+", out)
    assert f"http://127.0.0.1:{free_port}/admin/" in pages
    with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/login/") as page:
        assert page.status == 200
    children = children_of(process)
    assert len(children) == 2
    # On a busy machine the pages are there before the scheduler is.
    assert process.stderr
    assert any("geo_job_scheduled" in line for line in process.stderr)
    process.send_signal(number)
    rest, err = process.communicate(timeout=60)
    assert rest.endswith("Stopped.\n")
    assert process.returncode == 0
    assert "Traceback" not in err
    # Not killed: it has flushed once more and given its lease back.
    assert "geo_scheduler_stopped" in err
    assert not any(map(is_running, children))
    check_port(free_port)


@pytest.mark.slow
def test_demo_geo__a_child_that_dies_ends_the_other(
    tmp_path: Path, addresses: str, free_port: int
) -> None:
    process = serving(tmp_path, addresses, free_port)
    read_until_ready(process)
    children = children_of(process)
    os.kill(children[0], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert "CommandError: The scheduler has ended by itself, with exit code -9\n" in err
    assert process.returncode == 1
    assert not any(map(is_running, children))


@pytest.mark.slow
def test_demo_geo__ctrl_c_during_the_work(tmp_path: Path, free_port: int) -> None:
    process = start(tmp_path / "var", "demo_geo", "--port", str(free_port))
    assert process.stdout
    assert process.stdout.readline() == "The database is ready.\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out.endswith("Stopped.\n")
    assert (process.returncode, err) == (0, "")


@pytest.mark.slow
def test_demo_geo__from_nothing_and_again(tmp_path: Path) -> None:
    first, second = (run(tmp_path / "var", "demo_geo", "--no-serve") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert "3,000 answers are dirty" in first.stdout
    assert "This is OLD" in first.stdout
    assert "MaxMind" in first.stdout
    assert "No answer is dirty" in second.stdout
    assert first.stderr + second.stderr == ""


@pytest.mark.slow
def test_demo_geo__a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(tmp_path / "file" / "var", "demo_geo", "--no-serve")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "cannot be made" in done.stderr


def test_demo_geo__makes_no_admin_user_in_production(settings: Any) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG=true only"):
        demonstrated()
