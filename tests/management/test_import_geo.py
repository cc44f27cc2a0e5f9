import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from geocache.blocklists import apply
from geocache.blocklists.formats.base import Options
from geocache.blocklists.outcome import Outcome
from geocache.blocklists.sources import Origin
from geocache.labels import labels_of
from geocache.models import Ban, ImportRun, ImportSource
from tests.factories import use_dummy_provider
from tests.support.ban_actions import RecordingAction, use_action
from tests.support.blocklists import an_entry, given_content, imported_entries, listed
from tests.support.commands import run

PAGE = "it is an HTML page, perhaps one that says what is wrong; check where it comes from"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _provider(settings: Any) -> None:
    use_dummy_provider(settings)


def a_file(folder: Path, text: str, name: str = "ipsum.txt") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def import_geo(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("import_geo", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_import_geo__says_what_is_new(tmp_path: Path) -> None:
    path = a_file(tmp_path, "1.1.1.1\n2.2.2.2\nx\n")
    out, err = import_geo(path)
    assert out.startswith("ipsum: 2 added, 0 removed, 2 are listed (list), in ")
    assert err == "ipsum: 1 bad line passed over: line 3: 'x' is not an address\n"
    assert import_geo(path) == ("ipsum: nothing has changed, 2 are listed.\n", "")


def test_import_geo__gzip_is_the_same_content(tmp_path: Path) -> None:
    import_geo(a_file(tmp_path, "1.1.1.1\n"))
    packed = tmp_path / "ipsum.txt.gz"
    packed.write_bytes(gzip.compress(b"1.1.1.1\n", mtime=0))
    assert import_geo(str(packed))[0] == "ipsum: nothing has changed, 1 are listed.\n"


def test_import_geo__options_win_over_the_settings(settings: Any, tmp_path: Path) -> None:
    given = {"ipsum": {"format": "xls"}}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_OPTIONS": given}
    path = a_file(tmp_path, "1.1.1.1\n")
    err = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("import_geo", path, stderr=err)
    assert "there is no format 'xls'" in err.getvalue()
    out, _ = import_geo(path, "--format", "list")
    assert out.startswith("ipsum: 1 added, 0 removed, 1 are listed (list)")


def test_import_geo__every_option_reaches_the_reader(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []

    def note(origin: Origin) -> Outcome:
        seen.append(origin)
        return Outcome(origin.name, "unchanged", "")

    monkeypatch.setattr(apply, "import_content", lambda origin, *_, **__: note(origin))
    words = ["--format=csv", "--column=2", "--score-column=count", "--set=b", "--allow-empty"]
    import_geo(a_file(tmp_path, "1.1.1.1\n"), *words)
    assert seen[0].options == Options(
        format_name="csv", column="2", score_column="count", set_name="b", allow_empty=True
    )


def test_import_geo__empty_list_is_accepted_on_request(tmp_path: Path) -> None:
    import_geo(a_file(tmp_path, "1.1.1.1\n"))
    path = a_file(tmp_path, "# merged into another\n")
    err = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("import_geo", path, stderr=err)
    assert err.getvalue() == (
        f"{path} was not imported: nothing in it is an address; its publisher says: "
        '"merged into another"; --allow-empty accepts an empty list.\n'
    )
    out, _ = import_geo("--allow-empty", path)
    assert out.startswith("ipsum: 0 added, 1 removed, 0 are listed")


def test_import_geo__dry_run_writes_nothing(tmp_path: Path) -> None:
    out, _ = import_geo("--dry-run", a_file(tmp_path, "1.1.1.1\n"))
    assert out == "ipsum: 1 would be added and 0 removed, 1 would be listed (list).\n"
    assert not ImportSource.objects.exists()


def test_import_geo__other_scores_are_said_only_where_there_are_any(tmp_path: Path) -> None:
    path = a_file(tmp_path, "1.1.1.1 2\n")
    imported_entries(an_entry("1.1.1.1", 1), name="ipsum")
    with given_content(an_entry("1.1.1.1", 2)):
        assert import_geo("--dry-run", path)[0] == (
            "ipsum: 0 would be added and 0 removed, 1 with another score or comment, "
            "1 would be listed (list).\n"
        )
        assert import_geo(path)[0].startswith(
            "ipsum: 0 added, 0 removed, 1 with another score or comment, 1 are listed (list), in "
        )


def test_import_geo__warm(tmp_path: Path) -> None:
    out, _ = import_geo("--warm", a_file(tmp_path, "1.1.1.1\n"))
    assert out == "ipsum: 1 looked up; nothing was applied.\n"
    assert not ImportRun.objects.exists()


def test_import_geo__json(tmp_path: Path) -> None:
    (one,) = json.loads(import_geo("--json", a_file(tmp_path, "1.1.1.1\n"))[0])
    assert one.pop("seconds") >= 0
    assert len(one.pop("sha256")) == 64
    assert one == {
        "name": "ipsum",
        "status": "applied",
        "format_name": "list",
        "line_count": 1,
        "bad_count": 0,
        "bad_lines": [],
        "entry_count": 1,
        "network_count": 0,
        "appeared_count": 1,
        "left_count": 0,
        "changed_count": 0,
        "banned_count": 0,
        "unbanned_count": 0,
        "skipped_counts": {},
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a", "b", "--name", "x"], "one source only"),
        (["a", "--dry-run", "--warm"], "Choose one of"),
    ],
)
def test_import_geo__refuses_what_makes_no_sense(arguments: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        import_geo(*arguments)


def test_import_geo__each_failure_is_one_line_and_the_others_are_applied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = a_file(tmp_path, "1.1.1.1\n"), a_file(tmp_path, "<html>\n", "page.html")
    err = io.StringIO()
    with pytest.raises(SystemExit) as raised:
        call_command("import_geo", "/nowhere/x", bad, "-", good, stderr=err)
    assert raised.value.code == 1
    assert err.getvalue().splitlines() == [
        "/nowhere/x was not imported: '/nowhere/x' cannot be read: No such file or directory.",
        f"{bad} was not imported: {PAGE}.",
        "- was not imported: say with --name what the list from '-' is called.",
    ]
    assert listed("ipsum") == ["1.1.1.1"]
    assert "ipsum: 1 added" in capsys.readouterr().out


def test_import_geo__key_in_a_url_is_not_said() -> None:
    err = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("import_geo", "https://lists.example/a?key=secret", stderr=err)
    refusal = "lists.example is not asked: add it to IMPORT_HOSTS first"
    assert err.getvalue() == f"lists.example was not imported: {refusal}.\n"


def test_import_geo__held_by_another_is_75(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocache.management.commands.import_geo.WAIT_SECONDS", 0)
    ImportSource.objects.create(name="ipsum").acquire("elsewhere 1 2 3", 120)
    with pytest.raises(SystemExit) as raised:
        import_geo(a_file(tmp_path, "1.1.1.1\n"))
    assert raised.value.code == 75


@pytest.mark.slow
def test_import_geo__reads_standard_input(tmp_path: Path) -> None:
    run(tmp_path, "migrate", "--verbosity", "0")
    packed = gzip.compress(b"1.1.1.1\n", mtime=0)
    done = run(tmp_path, "import_geo", "-", "--name", "piped", given=packed)
    assert done.stdout.startswith("piped: 1 added, 0 removed, 1 are listed"), done.stderr
    assert done.returncode == 0


# --- bans ----------------------------------------------------------------------------------------


def test_import_geo__says_what_is_never_banned(tmp_path: Path, settings: Any) -> None:
    use_action(settings, RecordingAction)
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["149.112.0.0/16"]}
    path = a_file(tmp_path, "9.9.9.9\n208.0.0.0/6\n149.112.1.1\n149.112.112.0/24\n")
    assert import_geo(path)[0].splitlines()[1:] == [
        "  1 banned, 0 bans ended.",
        "  3 not banned: 2 overlapping TRUSTED_PROXIES, 1 wider than /8.",
    ]
    settings.GEOCACHE = {**settings.GEOCACHE, "NEVER_BAN": ["9.9.9.9"]}
    (one,) = json.loads(import_geo("--json", path)[0])
    assert one["skipped_counts"] == {"never_ban": 1, "trusted_proxy": 2, "too_wide_ipv4": 1}


def test_import_geo__refused_list_does_not_keep_the_bans_of_a_deleted_one(
    tmp_path: Path, settings: Any
) -> None:
    use_action(settings, RecordingAction)
    import_geo(a_file(tmp_path, "149.112.112.0/24\n", "edrop.txt"))
    ImportSource.objects.get().forget()
    with pytest.raises(SystemExit) as ended:
        import_geo(a_file(tmp_path, "; merged into DROP\n", "edrop.txt"))
    assert ended.value.code == 1
    assert RecordingAction.asked[1:] == [("unban", ["149.112.112.0/24"])]
    assert not Ban.objects.exists()


def test_import_geo__dry_run_of_a_refused_list_ends_no_ban(tmp_path: Path, settings: Any) -> None:
    use_action(settings, RecordingAction)
    import_geo(a_file(tmp_path, "9.9.9.9\n"))
    ImportSource.objects.get().forget()
    with pytest.raises(SystemExit):
        import_geo("--dry-run", a_file(tmp_path, ""))
    assert Ban.objects.count() == 1


def test_import_geo__label_is_given_kept_and_taken_away(tmp_path: Path) -> None:
    path = a_file(tmp_path, "1.1.1.1\n2.2.2.0/24\n")

    def label() -> str:
        return ImportSource.objects.get(name="ipsum").label

    import_geo(path, "--label", "vpn", "--dry-run")
    assert not ImportSource.objects.exists()
    import_geo(path, "--label", "vpn")
    assert label() == "vpn"
    assert labels_of("1.1.1.1") == labels_of("2.2.2.9") == ("vpn",)
    import_geo(path)
    assert label() == "vpn"
    # Nothing has changed but the label.
    said, _ = import_geo(path, "--label", "tor_exit_node")
    assert "nothing has changed" in said
    assert "  Labelled by hand: tor_exit_node.\n" in said
    assert labels_of("2.2.2.9") == ("tor_exit_node",)
    assert "  No longer labelled by hand.\n" in import_geo(path, "--label", "")[0]
    assert (label(), labels_of("1.1.1.1")) == ("", ())
    assert "abel" not in import_geo(path)[0]


@pytest.mark.parametrize("label", ["VPN", "a b", "x" * 41, "tor\n"])
def test_import_geo__label_that_is_no_name_is_one_line(tmp_path: Path, label: str) -> None:
    with pytest.raises(CommandError, match="it has to be a short name of a-z, 0-9 and _"):
        import_geo(a_file(tmp_path, "1.1.1.1\n"), "--label", label)
    assert not ImportSource.objects.exists()


def test_import_geo__list_that_is_refused_gets_no_label(tmp_path: Path) -> None:
    path = a_file(tmp_path, "1.1.1.1\n")
    import_geo(path)
    a_file(tmp_path, "")
    with pytest.raises(SystemExit):
        import_geo(path, "--label", "vpn")
    assert ImportSource.objects.get().label == ""
