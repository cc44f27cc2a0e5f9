from pathlib import Path
from typing import Any

import pytest

from geocache.blocklists import sources
from geocache.blocklists.apply import import_content
from geocache.blocklists.formats import detect
from geocache.blocklists.formats.base import Options
from geocache.blocklists.import_options import content_id, options_of
from geocache.blocklists.outcome import Outcome
from geocache.blocklists.schedule import import_due
from geocache.blocklists.sources import Origin
from geocache.exceptions import ImportFailed
from geocache.models import ImportSource
from tests.factories import use_dummy_provider
from tests.support.blocklists import listed
from tests.support.database_server import serving

FAIL2BAN = {"BACKEND": "geocache.bans.fail2ban.Fail2banAction", "OPTIONS": {"jail": "own"}}
NFTABLES = {"BACKEND": "geocache.bans.nftables.NftablesAction", "OPTIONS": {"path": "/srv/x"}}


def use(settings: Any, **given: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}


def test_options_of__list_in_the_settings(settings: Any) -> None:
    use(settings, IMPORT_OPTIONS={"own": {"format": "csv", "column": 2, "set": "b"}})
    assert options_of("own") == Options(format_name="csv", column="2", set_name="b")
    assert options_of("other") == Options()


def test_options_of__what_is_given_wins(settings: Any) -> None:
    use(settings, IMPORT_OPTIONS={"own": {"format": "csv", "column": "ip", "allow_empty": True}})
    given = {"format_name": "", "column": "address", "allow_empty": False}
    expected = Options(format_name="csv", column="address", allow_empty=True)
    assert options_of("own", given) == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (None, Options()),
        (FAIL2BAN, Options(own_jail="own")),
        (NFTABLES, Options(own_table="inet geocache")),
        ({"BACKEND": "nowhere.Action"}, Options()),
    ],
)
def test_options_of__what_bans_here_is_known(settings: Any, action: Any, expected: Options) -> None:
    use(settings, BAN_ACTION=action)
    assert options_of("own") == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"colum": 1}, "IMPORT_OPTIONS of 'own': there is no option 'colum'"),
        ({"format": "x"}, "'x'"),
        ({"label": "V P N"}, "IMPORT_OPTIONS of 'own': label is 'V P N'; it has to be"),
    ],
)
def test_options_of__nonsense_is_one_line(settings: Any, options: Any, said: str) -> None:
    use(settings, IMPORT_OPTIONS={"own": options})
    with pytest.raises(ImportFailed, match=said):
        options_of("own")


def test_options_of__label_does_not_change_how_a_list_is_read(settings: Any) -> None:
    use(settings, IMPORT_OPTIONS={"own": {"label": "vpn", "column": 2}})
    assert options_of("own") == Options(column="2")


def test_content_id__is_that_of_the_content_by_default() -> None:
    assert content_id("a" * 64, Options()) == "a" * 64
    same = Options(allow_empty=True, own_jail="x", own_table="y")
    assert content_id("a" * 64, same) == "a" * 64
    others = [Options(column="1"), Options(column="2"), Options(score_column="1")]
    ids = {content_id("a" * 64, one) for one in [*others, Options(), Options(set_name="1")]}
    assert len(ids) == 5
    assert all(len(one) == 64 for one in ids)


@pytest.mark.django_db
def test_import__same_content_with_other_options_is_applied_again(
    settings: Any, tmp_path: Path
) -> None:
    use_dummy_provider(settings)
    path = tmp_path / "own.txt"
    path.write_text("1.1.1.1\n2.2.2.2\n")
    assert run(str(path)).status == "applied"
    assert run(str(path), format_name="list").status == "applied"
    assert run(str(path), format_name="list").status == "unchanged"
    assert run(str(path), format_name="list", allow_empty=True).status == "unchanged"
    assert run(str(path)).status == "applied"


def run(place: str, **options: Any) -> Outcome:
    origin = Origin("own", place, Options(**options))
    with sources.content_of(origin) as content:
        return import_content(origin, content)


@pytest.mark.django_db
def test_import__service_is_asked_for_the_content_when_options_have_changed(settings: Any) -> None:
    use_dummy_provider(settings)
    use(settings, IMPORT_HOSTS=["127.0.0.1"])
    with serving() as service:
        url = service.put("/own.txt", b"1.1.1.1\n", etag='"one"')
        assert run(url).status == "applied"
        assert run(url).status == "unchanged"
        assert run(url, format_name="list").status == "applied"
        assert run(url, format_name="list").status == "unchanged"
        assert service.statuses == [200, 304, 200, 304]


@pytest.mark.django_db
def test_import_due__reads_a_list_as_its_options_say(settings: Any, tmp_path: Path) -> None:
    use_dummy_provider(settings)
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("1.1.1.1\n")
    two.write_text("# no more\n")
    places = {"one": str(one), "two": str(two), "three": str(one)}
    options = {"one": {"format": "x"}, "two": {"allow_empty": True}, "three": {"format": "list"}}
    use(settings, IMPORT_SOURCES=places, IMPORT_OPTIONS=options)
    problems = {result.name: result.problem for result in import_due()}
    names = ", ".join(detect.format_names())
    assert problems == {
        "one": f"there is no format 'x'; choose one of {names}",
        "two": "",
        "three": "",
    }
    assert ImportSource.objects.get(name="one").problem == problems["one"]
    assert (listed("two"), listed("three")) == ([], ["1.1.1.1"])


@pytest.mark.django_db
def test_import__list_that_becomes_empty_on_purpose(settings: Any, tmp_path: Path) -> None:
    use_dummy_provider(settings)
    path = tmp_path / "own.txt"
    path.write_text("1.1.1.1\n")
    run(str(path))
    path.write_text("# This list has been merged into DROP\n")
    with pytest.raises(ImportFailed, match='says: "This list has been merged into DROP"; --allow'):
        run(str(path))
    assert listed("own") == ["1.1.1.1"]
    outcome = run(str(path), allow_empty=True)
    assert (outcome.status, outcome.removed_count, outcome.entry_count) == ("applied", 1, 0)
    assert listed("own") == []
    path.write_text("")
    with pytest.raises(ImportFailed, match="it is empty"):
        run(str(path), allow_empty=True)
