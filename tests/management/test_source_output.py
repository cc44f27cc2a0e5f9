from datetime import UTC, datetime, timedelta

from geocache.management.source_output import describe_source
from geocache.providers.base import Source


def built(days: int) -> Source:
    built_at = datetime.now(UTC) - timedelta(days=days)
    return Source(name="City", built_at=built_at, attribution="Thanks.")


def test_describe_source__a_fresh_one() -> None:
    source = built(3)
    assert describe_source(source) == f"{source}, 3 days old\nThanks."


def test_describe_source__an_old_one_is_called_old() -> None:
    lines = describe_source(built(2525)).splitlines()
    assert lines[0].endswith("2,525 days old")
    assert "OLD" in lines[1]
    assert lines[2] == "Replace it with a newer one."


def test_describe_source__one_that_its_licence_no_longer_allows() -> None:
    built_at = datetime.now(UTC) - timedelta(days=31)
    said = describe_source(Source(name="GeoLite2-City", built_at=built_at)).splitlines()
    assert said[1:] == [
        "The GeoLite EULA does not allow its use for longer than 30 days.",
        "Replace it with a newer one.",
    ]


def test_describe_source__a_service_has_no_age() -> None:
    assert describe_source(Source(name="Web")) == "Web"
