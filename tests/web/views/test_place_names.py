"""Pages name cities and regions in the reader's language."""

import pytest
from django.utils.translation import override

from geocache.lookup import lookup
from geocache.models import AnswerHistory
from geocache.providers import factory, mmdb_files
from tests.factories import LONDON, NOON, a_row, an_admin, an_mmdb
from tests.support.assertions import no_database_write

pytestmark = pytest.mark.django_db
MUNICH = {
    "city": {"names": {"en": "Munich", "de": "München"}},
    "country": {"iso_code": "DE"},
    "subdivisions": [{"names": {"en": "Bavaria", "de": "Bayern"}}],
}
PAGES = (f"/lookup/?ip={LONDON}", "/addresses/", f"/addresses/{LONDON}/")


@pytest.fixture(autouse=True)
def language():
    """Put back the language of the tests, which a request replaces."""
    with override("en"):
        yield


@pytest.fixture(autouse=True)
def munich(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(mmdb_files, "require_verified", lambda *_, **__: None)
    path = an_mmdb(tmp_path / "city.mmdb", {"81.2.69.0/24": MUNICH})
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [path]}
    found = factory.current().resolve(LONDON)
    return a_row(
        LONDON, city=found.city, region=found.region, country_code="DE", source=found.source
    )


def page(client, url, language):
    with no_database_write(max_queries=20):
        return client.get(url, headers={"accept-language": language}).text


@pytest.mark.parametrize("url", PAGES)
def test_page__has_names_in_the_readers_language(client, url):
    client.force_login(an_admin())
    german, english = page(client, url, "de"), page(client, url, "en")
    assert "München" in german
    assert "Bayern" in german
    assert "Munich" not in german
    assert "Munich" in english
    assert "Bavaria" in english
    assert "München" not in english


def test_past__has_names_of_the_same_place_in_the_readers_language(client, munich):
    plain = munich.to_location()
    for number, city in enumerate(("Munich", "Berlin")):
        AnswerHistory.objects.create(
            **{name: getattr(munich, name) for name in ("address", "country_code", "source")},
            resolved_at=plain.resolved_at,
            city=city,
            valid_from=NOON,
            valid_until=NOON.replace(hour=13 + number),
            new_country_code="DE",
            new_city="Munich",
        )
    client.force_login(an_admin())
    for url in (f"/addresses/{LONDON}/", "/moves/"):
        german = page(client, url, "de")
        assert "München" in german
        # A former place has no record to read its name from.
        assert "Berlin" in german
        assert "Munich" not in german
        assert "München" not in page(client, url, "en")


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_download__has_names_as_they_are_stored(client, kind):
    client.force_login(an_admin())
    url = f"/lookup/?ip={LONDON}&format={kind}"
    sent = client.get(url, headers={"accept-language": "de"})
    assert "Munich" in sent.getvalue().decode()


def test_look_up__is_in_the_language_that_is_stored(client):
    client.force_login(an_admin())
    page(client, PAGES[0], "de")
    assert lookup(LONDON).city == "Munich"
