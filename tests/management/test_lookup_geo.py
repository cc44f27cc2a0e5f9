import gzip
import io
import json
import os
import secrets
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone
from msgspec.structs import replace

from geocache.journal import backlog
from geocache.location import Location
from geocache.management import answer_output, file_reading
from tests.conftest import require
from tests.factories import LONDON, MOSCOW_V6, NOON, a_row, an_mmdb, use_dummy_provider
from tests.support.assertions import no_database_write
from tests.support.commands import COMMAND, environment, run, start
from tests.support.processes import ROOT

DAY = timedelta(days=1)
ANSWERS = {
    LONDON: {"country_code": "GB", "city": "London", "region": "England", "network": "81.2.69.0/24"}
}


@pytest.fixture
def provider(settings: Any) -> Any:
    return use_dummy_provider(settings, answers=ANSWERS)


def answered(*arguments: str) -> tuple[str, str, int]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("lookup_geo", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return out.getvalue(), err.getvalue(), int(str(end.code))
    return out.getvalue(), err.getvalue(), 0


def objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.usefixtures("provider")
def test_lookup_geo__table() -> None:
    out, err, code = answered(LONDON, "8.8.8.8", "10.0.0.1", "fe80::1%eth0")
    assert out.splitlines() == [
        "ADDRESS      COUNTRY  PLACE            NETWORK       OPERATOR",
        "-----------  -------  ---------------  ------------  --------",
        "81.2.69.142  GB       London, England  81.2.69.0/24",
        "8.8.8.8      -        (not found)      -",
        "10.0.0.1     -        (private)        -",
        "fe80::1      -        (link-local)     -",
    ]
    assert (err, code) == ("", 0)


@pytest.mark.usefixtures("provider")
def test_lookup_geo__table_has_a_column_for_kinds_of_networks_from_the_first_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def with_kind(locations: list[Location]) -> list[Location]:
        kinds = ("anonymous", "anonymous_vpn", "hosting_provider")
        return [replace(one, traits=kinds if one.address == LONDON else ()) for one in locations]

    monkeypatch.setattr(answer_output, "labelled", with_kind)
    out, _, _ = answered("10.0.0.1", LONDON)
    assert out.splitlines() == [
        "ADDRESS      COUNTRY  PLACE            NETWORK       OPERATOR  KIND",
        "-----------  -------  ---------------  ------------  --------  ----------------",
        "10.0.0.1     -        (private)        -",
        "81.2.69.142  GB       London, England  81.2.69.0/24            VPN, Data centre",
    ]


@pytest.mark.usefixtures("provider")
def test_lookup_geo__kinds_that_come_later_get_a_heading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def with_kind(locations: list[Location]) -> list[Location]:
        return [
            replace(one, traits=("tor_exit_node",) if one.address == LONDON else ())
            for one in locations
        ]

    monkeypatch.setattr(answer_output, "labelled", with_kind)
    (tmp_path / "list").write_text(f"{LONDON}\n10.0.0.1\n")
    out, _, _ = answered("10.0.0.1", "--file", str(tmp_path / "list"))
    assert [line.split()[0] for line in out.splitlines()] == [
        *("ADDRESS", "--------", "10.0.0.1"),
        *("ADDRESS", "-----------", LONDON, "10.0.0.1"),
    ]
    assert out.count("KIND") == out.count("Tor exit") == 1


@pytest.mark.usefixtures("provider")
def test_lookup_geo__json_has_the_fields_by_name() -> None:
    out, err, code = answered("--json", LONDON, "10.0.0.1")
    london, private = objects(out)
    assert (london["address"], london["city"], london["found"]) == (LONDON, "London", True)
    assert (private["reason"], private["found"]) == ("private", False)
    assert (err, code) == ("", 0)


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(
    "bad",
    ["1.2.3.4.5", "01.02.03.04", "\uff11.2.3.4", "example.com", "10.0.0.0/8", "", "x" * 10_000],
)
def test_lookup_geo__a_bad_address_is_one_line_and_the_others_are_answered(bad: str) -> None:
    out, err, code = answered("--json", bad, LONDON)
    assert [one["address"] for one in objects(out)] == [LONDON]
    assert len(err.splitlines()) == 1
    assert "is not an IP address" in err
    assert code == 1


@pytest.mark.usefixtures("provider")
def test_lookup_geo__a_file_is_answered_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "addresses"
    path.write_text(f"# mine\n{LONDON} home\nfoo\n\n10.0.0.1\n{LONDON}\n")
    out, err, code = answered("--json", "--file", str(path), MOSCOW_V6)
    assert [one["address"] for one in objects(out)] == [MOSCOW_V6, LONDON, "10.0.0.1", LONDON]
    assert err == "line 3: 'foo' is not an IP address\n"
    assert code == 1


@pytest.mark.usefixtures("provider")
def test_lookup_geo__lines_of_a_log_without_address_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(f"Jan 2 sshd[1]: from {LONDON} port 22\nJan 2 sshd[1]: a b\nJan 2 cron: c\n")
    out, err, code = answered("--json", "--file", str(path))
    assert [one["address"] for one in objects(out)] == [LONDON]
    assert (err, code) == ("2 lines have no IP address\n", 0)


@pytest.mark.usefixtures("provider")
def test_lookup_geo__a_file_without_any_address_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("Jan 2 sshd[1]: a b\n")
    assert answered("--file", str(path)) == ("", "1 line has no IP address\n", 1)
    path.write_text("")
    assert answered("--file", str(path)) == ("", "", 0)


def test_lookup_geo__thanks_below_the_table_and_in_each_object(settings, capsys):
    answers = {LONDON: {"source": "DBIP-City-Lite 2026-06-01", "city": "London"}}
    use_dummy_provider(settings, answers=answers)
    credit = "IP Geolocation by DB-IP (CC BY 4.0), https://db-ip.com"
    call_command("lookup_geo", LONDON)
    assert capsys.readouterr().out.endswith(f"\n\n{credit}\n")
    call_command("lookup_geo", LONDON, "--json")
    assert json.loads(capsys.readouterr().out)["credit"] == credit


@pytest.fixture
def looked_up(monkeypatch: Any) -> list[list[str]]:
    """Collect what is looked up together."""
    batches: list[list[str]] = []
    wanted = answer_output.lookup_many

    def counted(addresses: list[str]) -> Any:
        batches.append(list(addresses))
        return wanted(addresses)

    monkeypatch.setattr(answer_output, "lookup_many", counted)
    return batches


def test_lookup_geo__a_long_file_asks_for_chunks(
    provider: Any, looked_up: list[list[str]], tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "addresses"
    path.write_text("".join(f"20.0.{n >> 8}.{n & 255}\n" for n in range(20_000)))
    monkeypatch.setattr(file_reading, "CHUNK_ADDRESSES", 4_000)
    out, _, code = answered("--file", str(path))
    sizes = [len(batch) for batch in looked_up]
    assert sum(sizes) == 20_000
    assert 1 < len(sizes) < 10
    assert len(out.splitlines()) == 20_002
    assert (len(provider.asked), code) == (20_000, 0)


@pytest.mark.usefixtures("provider")
def test_lookup_geo__an_address_that_comes_again_is_looked_up_once(
    looked_up: list[list[str]], tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_text(f"{LONDON} GET /\n8.8.8.8 GET /\n" * 20_000)
    out, _, code = answered("--json", "--file", str(path), LONDON)
    assert [batch for batch in looked_up if batch] == [[LONDON], ["8.8.8.8"]]
    lines = out.splitlines()
    assert lines == [lines[0], *lines[1:3] * 20_000]
    assert [json.loads(line)["address"] for line in lines[:3]] == [LONDON, LONDON, "8.8.8.8"]
    assert (len(lines), code) == (40_001, 0)


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("name", ["MEMORY_SIZE", "MEMORY_TTL_SECONDS"])
def test_lookup_geo__what_is_kept_of_answers_is_bounded(
    looked_up: list[list[str]], tmp_path: Path, settings: Any, name: str
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, name: 0}
    path = tmp_path / "log"
    path.write_text(f"{LONDON} GET /\n8.8.8.8 GET /\n" * 20_000)
    out, _, _ = answered("--json", "--file", str(path))
    assert len(looked_up) > 2
    assert all(batch == [LONDON, "8.8.8.8"] for batch in looked_up)
    assert len(out.splitlines()) == 40_000


@pytest.mark.django_db
def test_lookup_geo__an_answer_that_failed_is_asked_for_again_with_the_next_chunk(
    settings: Any, looked_up: list[list[str]], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(file_reading, "CHUNK_ADDRESSES", 4_000)
    use_dummy_provider(settings, is_failing=True)
    path = tmp_path / "log"
    path.write_text("8.8.8.8 GET /\n" * 20_000)
    out, err, code = answered("--json", "--file", str(path))
    assert len(looked_up) > 2
    assert all(batch == ["8.8.8.8"] for batch in looked_up)
    assert err == "20,000 could not be answered: the provider failed\n"
    assert (len(out.splitlines()), code) == (20_000, 1)


@pytest.mark.django_db
@pytest.mark.usefixtures("provider")
def test_lookup_geo__new_answers_are_remembered() -> None:
    answered(LONDON, "10.0.0.1")
    assert backlog.read_backlog().answer_count == 1


def test_lookup_geo__nothing_to_look_up() -> None:
    with pytest.raises(CommandError, match=r"^Name at least one address"):
        call_command("lookup_geo")


def test_lookup_geo__a_provider_that_cannot_open_is_one_line(settings: Any, tmp_path: Path) -> None:
    missing = tmp_path / "none.mmdb"
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [missing]}
    with pytest.raises(CommandError, match=r"none\.mmdb: No such file or directory \(see docs"):
        call_command("lookup_geo", LONDON)


@pytest.mark.django_db
def test_lookup_geo__an_address_that_could_not_be_answered_is_a_failure(settings: Any) -> None:
    use_dummy_provider(settings, is_failing=True)
    out, err, code = answered("--json", LONDON, "10.0.0.1")
    assert [one["reason"] for one in objects(out)] == ["unavailable", "private"]
    assert err == "1 could not be answered: the provider failed\n"
    assert code == 1


@pytest.mark.django_db
def test_lookup_geo__old_answers_are_said_to_be_old(settings: Any) -> None:
    use_dummy_provider(settings, is_failing=True)
    a_row()
    out, err, code = answered("--json", LONDON)
    assert [(one["city"], one["stale"]) for one in objects(out)] == [("London", True)]
    assert err == "1 may be out of date: the provider failed\n"
    assert code == 0


# --- counts --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("provider")
def test_lookup_geo__counts_by_country(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(f"8.8.8.8 GET /\n{LONDON} GET /\nno address here\nfoo\n{LONDON} GET /\n")
    out, err, code = answered("--count", "10.0.0.1", LONDON, "--file", str(path))
    assert out.splitlines() == [
        "COUNTRY  NAME            COUNT",
        "-------  --------------  -----",
        "GB       United Kingdom      3",
        "-        (private)           1",
        "-        (not found)         1",
    ]
    assert err == "line 4: 'foo' is not an IP address\n1 line has no IP address\n"
    assert code == 1


def test_lookup_geo__counts_as_json_are_one_object(settings: Any, tmp_path: Path) -> None:
    london = {"country_code": "GB", "source": "DBIP-City-Lite 2026-06-01"}
    use_dummy_provider(settings, answers={LONDON: london})
    path = tmp_path / "log"
    path.write_text(f"{LONDON} GET /\n8.8.8.8 GET /\n" * 20_000 + LONDON)
    out, err, code = answered("--count", "--json", "--file", str(path))
    assert json.loads(out) == {
        "count": 40_001,
        "countries": [
            {"country_code": "GB", "reason": "", "count": 20_001},
            {"country_code": "", "reason": "not_found", "count": 20_000},
        ],
        "credits": ["IP Geolocation by DB-IP (CC BY 4.0), https://db-ip.com"],
    }
    assert (err, code) == ("", 0)


def test_lookup_geo__counts_are_thanked_for_below_the_table(settings: Any) -> None:
    london = {"country_code": "GB", "source": "DBIP-City-Lite 2026-06-01"}
    use_dummy_provider(settings, answers={LONDON: london})
    out, _, _ = answered("--count", LONDON)
    assert out.endswith("\n\nIP Geolocation by DB-IP (CC BY 4.0), https://db-ip.com\n")


@pytest.mark.usefixtures("provider")
@pytest.mark.usefixtures("provider")
def test_lookup_geo__counts_what_was_read_of_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "addresses.gz"
    lines = "".join(f"{LONDON} {secrets.token_hex(20)}\n" for _ in range(20_000))
    path.write_bytes(gzip.compress(lines.encode())[:-20_000])
    with pytest.raises(CommandError, match="cannot be read"):
        call_command(
            "lookup_geo", "--count", "--json", "--file", str(path), stdout=(out := io.StringIO())
        )
    assert 1_000 < json.loads(out.getvalue())["count"] < 20_000


def test_lookup_geo__counts_of_nothing() -> None:
    assert (
        answered("--count", "--json", "foo")[0] == '{"count": 0, "countries": [], "credits": []}\n'
    )
    assert answered("--count", "foo") == ("", "'foo' is not an IP address\n", 1)


def test_lookup_geo__counts_are_not_those_of_a_day() -> None:
    with pytest.raises(CommandError, match=r"^Choose one of --on and --count\.$"):
        call_command("lookup_geo", LONDON, "--on", "2026-01-02", "--count")


# --- on a day ------------------------------------------------------------------------------------


@pytest.fixture
def moved(provider: Any) -> Any:
    """London from the second of January 2026 on, and from the seventh on Paris."""
    a_row(network="81.2.69.0/24", region="", asn=64500, organization="Test Net")
    a_row(country_code="FR", city="Paris", network="81.2.0.0/16", resolved_at=NOON + 5 * DAY)
    return provider


@pytest.mark.django_db
def test_lookup_geo__on_a_day_says_what_the_table_knew_then(moved: Any) -> None:
    out, err, code = answered(LONDON, "--on", "2026-01-06")
    assert out.splitlines() == [
        "ADDRESS      COUNTRY  PLACE   NETWORK       VALID FROM        VALID UNTIL       OPERATOR",
        "-----------  -------  ------  ------------  ----------------  ----------------  --------",
        "81.2.69.142  GB       London  81.2.69.0/24  2026-01-02 12:00  2026-01-07 12:00  Test Net",
    ]
    assert (err, code) == ("", 0)
    assert moved.asked == []


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_lookup_geo__on_a_day_that_the_present_answer_covers() -> None:
    out, _, code = answered(LONDON, "--on", "2026-01-07")
    assert "  Paris  " in out
    assert out.endswith("  2026-01-07 12:00  -\n")
    assert code == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_lookup_geo__on_a_day_as_json_is_what_the_api_says() -> None:
    (told,) = objects(answered("--json", LONDON, "--on", "2026-01-06")[0])
    assert (told["city"], told["on"]) == ("London", "2026-01-06")
    assert told["valid_from"] == "2026-01-02T12:00:00+00:00"
    assert told["valid_until"] == "2026-01-07T12:00:00+00:00"


@pytest.mark.django_db
def test_lookup_geo__on_a_day_nothing_was_known_is_one_line_each(
    moved: Any, tmp_path: Path
) -> None:
    path = tmp_path / "addresses"
    path.write_text(f"8.8.8.8\nfoo\n{LONDON}\n")
    out, err, code = answered("--json", "10.0.0.1", "--file", str(path), "--on", "2026-01-06")
    assert [one["address"] for one in objects(out)] == [LONDON]
    assert err.splitlines() == [
        "Nothing was known about 10.0.0.1 on 2026-01-06.",
        "line 2: 'foo' is not an IP address",
        "Nothing was known about 8.8.8.8 on 2026-01-06.",
    ]
    assert (code, moved.asked) == (1, [])


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_lookup_geo__on_a_day_without_any_answer_there_is_no_table() -> None:
    out, err, code = answered(LONDON, "--on", "2026-01-01")
    assert (out, err) == ("", f"Nothing was known about {LONDON} on 2026-01-01.\n")
    assert code == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_lookup_geo__day_is_one_of_utc_whatever_the_time_zone(settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"  # there the day ends at eleven in the morning
    (told,) = objects(answered("--json", LONDON, "--on", "2026-01-02")[0])
    assert told["city"] == "London"


@pytest.mark.django_db
def test_lookup_geo__on_a_day_writes_nothing_and_needs_no_provider(settings: Any) -> None:
    a_row()
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": ["/none.mmdb"]}
    # One of them for changed settings.
    with no_database_write(max_queries=5):
        out, err, code = answered("--json", LONDON, "--on", "2026-01-02")
    assert [one["city"] for one in objects(out)] == ["London"]
    assert (err, code) == ("", 0)


@pytest.mark.django_db
def test_lookup_geo__on_a_day_of_an_unmigrated_database(monkeypatch: Any) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)
    with pytest.raises(CommandError, match=r"^Nothing was looked up: .* run manage\.py migrate\.$"):
        call_command("lookup_geo", LONDON, "--on", "2026-01-02")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["missing", "random", "truncated", "wrong type", "directory"])
def test_lookup_geo__a_broken_database_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "broken.mmdb"
    if kind == "random":
        path.write_bytes(os.urandom(10_000))
    elif kind == "truncated":
        an_mmdb(path, {"81.2.69.0/24": {"city": {"names": {"en": "x"}}}})
        path.write_bytes(path.read_bytes()[:100])
    elif kind == "wrong type":
        an_mmdb(path, {"81.2.69.0/24": {"x": "y"}}, database_type="Anonymous")
    elif kind == "directory":
        path.mkdir()
    done = run(tmp_path / "var", "lookup_geo", LONDON, GEOCACHE_DATABASES=str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "broken.mmdb: " in done.stderr


@pytest.mark.slow
def test_lookup_geo__standard_input_with_all_that_can_be_wrong(tmp_path: Path) -> None:
    given = b"81.2.69.142\n\xff\xfe\n1.2.3.4\x00\n" + b"1" * 10_000_000 + b"\n10.0.0.1"
    done = run(tmp_path, "lookup_geo", "--json", "--file", "-", given=given)
    assert [one["address"] for one in objects(done.stdout)] == [
        "81.2.69.142",
        "1.2.3.4",
        "10.0.0.1",
    ]
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["line 2", "line 4"]
    assert done.returncode == 1


@pytest.mark.slow
def test_lookup_geo__a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "addresses"
    path.write_text("".join(f"10.0.{n >> 8}.{n & 255}\n" for n in range(60_000)))
    with start(tmp_path, "lookup_geo", "--file", str(path)) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("ADDRESS")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0


@pytest.mark.slow
def test_lookup_geo__a_reader_that_never_reads_ends_it_quietly(tmp_path: Path) -> None:
    with start(tmp_path, "lookup_geo", "10.0.0.1") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0


@pytest.mark.slow
def test_lookup_geo__a_full_disk_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "lookup_geo", "10.0.0.1"],
            cwd=ROOT,
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "CommandError: [Errno 28] No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize(
    "command", [["lookup_geo", "--file", "-"], ["import_geo", "-", "--name", "l"]]
)
@pytest.mark.slow
def test_commands__closed_standard_input_is_not_taken_for_another_file(
    tmp_path: Path, command: list[str]
) -> None:
    run(tmp_path, "migrate")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, *command],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "'-' cannot be read: standard input is closed" in done.stderr
    assert (done.stderr.count("\n"), done.returncode, done.stdout) == (1, 1, "")


@pytest.mark.slow
def test_lookup_geo__ctrl_c_shows_no_traceback(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [*COMMAND, "lookup_geo", "10.0.0.1", "--file", "-"],
        cwd=ROOT,
        env=environment(tmp_path, PYTHONUNBUFFERED="1"),
        stdin=read_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    # Behind the first answer it waits for more lines, which never come.
    assert process.stdout.readline().startswith("ADDRESS")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    os.close(read_end)
    os.close(write_end)
    assert (process.returncode, err) == (130, "")


@pytest.mark.slow
def test_lookup_geo__memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    require(Path("/proc/self/status").exists(), "Linux")
    path = tmp_path / "addresses"
    database = an_mmdb(tmp_path / "city.mmdb", {"20.0.0.0/8": {"country": {"iso_code": "US"}}})
    with path.open("w") as file:
        file.writelines(f"20.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(100_000))
    assert peak_megabytes(tmp_path / "var", path, database) < 160


def peak_megabytes(folder: Path, addresses: Path, database: Path) -> float:
    """Answer a file in a process of its own and return the most memory that it had."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from django.core.management import execute_from_command_line as execute\n"
        f"execute(['manage.py', 'lookup_geo', '--json', '--file', {str(addresses)!r}])\n"
        # Not ru_maxrss: a child starts with that of the process which it was forked from.
        "lines = Path('/proc/self/status').read_text().splitlines()\n"
        "print(*[int(l.split()[1]) / 1024 for l in lines if 'VmHWM' in l], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(folder, GEOCACHE_DATABASES=str(database)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stderr)


# --- names in another language -----------------------------------------------------------------

MUNICH = {
    "city": {"names": {"en": "Munich", "de": "München"}},
    "country": {"iso_code": "DE"},
    "subdivisions": [{"names": {"en": "Bavaria", "de": "Bayern"}}],
}


@pytest.fixture
def munich(settings: Any, tmp_path: Path) -> None:
    path = an_mmdb(tmp_path / "city.mmdb", {"81.2.69.0/24": MUNICH})
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [path]}


@pytest.mark.usefixtures("munich")
@pytest.mark.parametrize(
    ("options", "city", "region"),
    [
        ((), "Munich", "Bavaria"),
        (("--lang", "de"), "München", "Bayern"),
        (("--lang", "DE-at"), "München", "Bayern"),
        (("--lang", "pl"), "Munich", "Bavaria"),
    ],
)
def test_lookup_geo__names_are_in_the_language_that_is_asked_for(
    settings: Any, options: tuple[str, ...], city: str, region: str
) -> None:
    # The language of a site is that of its pages.
    settings.LANGUAGE_CODE = "de"
    out, _, code = answered(LONDON, "--json", *options)
    (answer,) = objects(out)
    assert (answer["city"], answer["region"], code) == (city, region, 0)
    assert f"{city}, {region}" in answered(LONDON, *options)[0]


@pytest.mark.django_db
@pytest.mark.usefixtures("munich")
def test_lookup_geo__names_of_the_past_are_in_the_language_that_is_asked_for() -> None:
    a_row(city="Munich", region="Bavaria", country_code="DE", source="GeoLite2-City 2023-11-14")
    answered(LONDON)
    today = f"{timezone.now():%Y-%m-%d}"
    for options, city in (((), "Munich"), (("--lang", "de"), "München")):
        out, _, _ = answered(LONDON, "--on", today, *options)
        assert city in out


@pytest.mark.usefixtures("munich")
def test_lookup_geo__countries_are_counted_in_the_language_that_is_asked_for() -> None:
    assert "Germany" in answered(LONDON, "--count")[0]
    assert "Deutschland" in answered(LONDON, "--count", "--lang", "de")[0]


@pytest.mark.parametrize("language", ["german", "", "de_DE", "*"])
def test_lookup_geo__what_is_not_a_language_is_refused(language: str) -> None:
    with pytest.raises(CommandError, match="is not a language"):
        call_command("lookup_geo", LONDON, f"--lang={language}")
