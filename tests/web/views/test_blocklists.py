"""Pages of lists; see also ``tests/blocklists``."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from geocache.journal.flush import flush_dirty
from geocache.models import ImportRun, ImportSource
from geocache.statistics.lists import count_due
from geocache.statistics.table import refresh_statistics
from tests.factories import LONDON, MOSCOW_V6, a_stranger, a_viewer, an_admin, use_dummy_provider
from tests.support.assertions import assert_is_page, no_database_write
from tests.support.blocklists import an_entry, imported, imported_entries

pytestmark = pytest.mark.django_db
MANY = [f"20.0.0.{n}" for n in range(1, 121)]


@pytest.fixture(autouse=True)
def provider(settings: Any) -> None:
    answers = {
        LONDON: {"country_code": "GB", "asn": 64500, "organization": "Test Networks"},
        MOSCOW_V6: {"country_code": "RU"},
    }
    use_dummy_provider(settings, answers=answers)


def page_of(name: str = "test") -> str:
    return f"/lists/{ImportSource.objects.get(name=name).pk}/"


def a_full_list() -> str:
    imported("1.1.1.1", LONDON, "5.6.7.0/24", "x")
    imported(LONDON, MOSCOW_V6, "5.6.7.0/24")
    flush_dirty()
    refresh_statistics()
    count_due(timezone.now())
    return page_of()


def show(client: Client, url: str, max_queries: int = 10) -> str:
    with no_database_write(max_queries=max_queries):
        response = client.get(url)
    assert_is_page(response)
    return str(response.text)


def test_lists__are_for_staff(client: Client) -> None:
    urls = ["/lists/", a_full_list(), f"/lists/imports/{ImportRun.objects.all()[0].pk}/"]
    for url in urls:
        assert client.get(url).url == f"/login/?next={url}"
    client.force_login(a_stranger())
    for url in urls:
        assert_is_page(client.get(url), 403)


def test_lists__nothing_yet(viewer: Client) -> None:
    assert "manage.py import_geo banned.txt" in show(viewer, "/lists/")


def test_lists__lists_and_their_last_imports(viewer: Client) -> None:
    url = a_full_list()
    text = show(viewer, "/lists/", max_queries=6)
    assert f'href="{url}"' in text
    assert "+3" in text
    assert "\N{MINUS SIGN}1" in text


def test_list__where_its_addresses_are_beside_all_others(viewer: Client) -> None:
    text = show(viewer, a_full_list(), max_queries=10)
    assert "3 entries; networks among them: 1." in text
    assert '<svg class="map' in text
    assert "?listed=test&amp;country=GB" in text
    # Half of the list, and one of three in the table.
    row = text[text.index("country=GB") :]
    assert [part.split("<")[0] for part in row.split("<td>")[1:4]] == ["1", "50.0%", "33.3%"]
    assert "AS64500" in text
    assert "5.6.7.0/24" in text
    assert "1.1.1.1" not in text


def test_list__costs_the_same_however_long_it_is(viewer: Client) -> None:
    imported(*MANY)
    url = page_of()
    with no_database_write(max_queries=10) as queries:
        text = viewer.get(url).text
    assert "COUNT(" not in str(queries.captured_queries).upper()
    assert "20.0.0.50<" in text
    assert "20.0.0.51<" not in text
    last = show(viewer, f"{page_of()}?after=20.0.0.100")
    assert "20.0.0.101<" in last
    assert 'rel="next"' not in last
    assert viewer.get(f"{page_of()}?after=nonsense").status_code == 404


def scored_list() -> str:
    """Two pages of each order: scores 1 to 60 and 60 entries of the score 7.5, ten without one."""
    imported_entries(
        *(an_entry(f"20.0.0.{n}", n) for n in range(1, 61)),
        *(an_entry(f"20.0.1.{n}", 7.5, "Zürich <b>") for n in range(60)),
        *(an_entry(f"20.0.2.{n}") for n in range(10)),
    )
    return page_of()


def all_entries(client: Client, url: str) -> list[str]:
    """The entries of a page and of those that follow it."""
    found = list[str]()
    while url:
        text = show(client, url)
        found += re.findall(r'class="address"[^>]*>([^<]+)<', text)
        after = re.search(r'rel="next" href="([^"]+)"', text)
        url = f"{url.partition('?')[0]}{html.unescape(after[1])}" if after else ""
    return found


def test_list__shows_scores_and_comments(viewer: Client) -> None:
    text = show(viewer, scored_list())
    assert '<td class="score" data-label="Score">9</td>' in text
    assert "9.0<" not in text
    assert 'data-label="Comment"' not in text
    text = show(viewer, f"{page_of()}?after=20.0.0.60")
    assert '<td class="comment" data-label="Comment">Zürich &lt;b&gt;</td>' in text
    assert ">7.5</td>" in text


def test_list__without_scores_has_no_column_and_no_form(viewer: Client) -> None:
    imported("1.1.1.1")
    text = show(viewer, page_of())
    assert "Score" not in text
    assert "Comment" not in text


HIGH = [f"20.0.0.{n}" for n in range(60, 0, -1)]
SAME = [f"20.0.1.{n}" for n in range(60)]
NONE = [f"20.0.2.{n}" for n in range(10)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", HIGH[::-1] + SAME + NONE),
        ("?sort=score", HIGH[:53] + SAME + HIGH[53:]),
        ("?sort=score&min_score=7.5", HIGH[:53] + SAME),
        ("?sort=score&min_score=8", HIGH[:53]),
        ("?min_score=7.5", HIGH[:53] + SAME),
        ("?sort=&min_score=-1", HIGH[:53] + SAME + HIGH[53:]),
        ("?sort=address&min_score=7.5", HIGH[:53][::-1] + SAME),
        ("?sort=address", HIGH[::-1] + SAME + NONE),
        ("?min_score=", HIGH[::-1] + SAME + NONE),
        ("?min_score=61", []),
    ],
)
def test_list__is_sorted_and_filtered_by_score_over_all_pages(
    viewer: Client, query: str, expected: list[str]
) -> None:
    url = f"{scored_list()}{query}"
    assert all_entries(viewer, url) == expected
    run = ImportRun.objects.get().pk
    assert all_entries(viewer, f"/lists/imports/{run}/{query}") == expected


def test_list__says_that_entries_without_a_score_are_left_out(viewer: Client) -> None:
    url = scored_list()
    assert "without a score are left out" not in show(viewer, url)
    assert "without a score are left out" in show(viewer, f"{url}?sort=score")
    text = show(viewer, f"{url}?min_score=61")
    assert "No entry has such a score." in text
    assert 'value="61"' in text


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("min_score=many", "The least score is a number, such as 3 or 0.5."),
        ("min_score=nan", "The least score is a number"),
        ("min_score=1e999", "The least score is a number"),
        ("sort=age", "“age” is no order of this list."),
    ],
)
def test_list__filter_that_cannot_be_used_is_said(viewer: Client, query: str, problem: str) -> None:
    text = show(viewer, f"{scored_list()}?{query}")
    assert problem in html.unescape(text)
    assert "20.0.0.1<" not in text


@pytest.mark.parametrize(
    "after", ["1.1.1.1", "x~1.1.1.1", "nan~1.1.1.1", "1~x", "inf~1.1.1.1", "~"]
)
def test_list__link_to_a_page_by_score_that_is_broken(viewer: Client, after: str) -> None:
    assert viewer.get(f"{scored_list()}?sort=score&after={after}").status_code == 404


def test_list__by_score_costs_the_same_however_far_one_turns(viewer: Client) -> None:
    url = scored_list()
    counts = []
    for query in ("", "&after=60.0~20.0.0.60", "&after=7.5~20.0.1.30"):
        with CaptureQueriesContext(connection) as queries:
            viewer.get(f"{url}?sort=score{query}")
        assert "OFFSET" not in str(queries.captured_queries).upper()
        counts.append(len(queries))
    # One more behind an entry: what has its score, and what has less.
    assert counts[1] == counts[2] == counts[0] + 1


def test_run__keeps_the_filter_beside_the_difference(viewer: Client) -> None:
    scored_list()
    imported_entries(an_entry("20.0.0.5", 5.5), an_entry("1.1.1.1", 100, "new"))
    run = ImportRun.objects.all()[0].pk
    text = show(viewer, f"/lists/imports/{run}/?show=removed&sort=score&min_score=59.5")
    assert ("20.0.0.60<" in text, "20.0.0.59<" in text) == (True, False)
    assert '<input type="hidden" name="show" value="removed">' in text
    assert "show=added&amp;sort=score&amp;min_score=59.5" in text
    text = show(viewer, f"/lists/imports/{run}/")
    assert "With another score or comment" in text
    assert ">100</td>" in text


def test_list__that_is_half_imported_says_so(viewer: Client) -> None:
    source = ImportSource.objects.create(name="half", problem="the jail is closed")
    text = show(viewer, page_of("half"))
    assert "It is not wholly imported" in text
    assert "the jail is closed" in text
    assert "not wholly imported" in show(viewer, "/lists/") or source.problem


def test_run__shows_its_difference(viewer: Client) -> None:
    a_full_list()
    new, old = ImportRun.objects.all()
    text = show(viewer, f"/lists/imports/{new.pk}/")
    assert MOSCOW_V6 in text
    assert LONDON not in text
    assert "1.1.1.1" in show(viewer, f"/lists/imports/{new.pk}/?show=removed")
    assert "line 4: &#x27;x&#x27; is not an address" in show(viewer, f"/lists/imports/{old.pk}/")
    assert viewer.get(f"/lists/imports/{new.pk}/?show=all").status_code == 404


def test_address_page__score_and_comment_of_each_list(viewer: Client) -> None:
    imported_entries(an_entry("5.6.7.8", 1234567, "SBL1 | Zürich"), name="one")
    imported("5.6.7.0/24", name="two")
    text = viewer.get("/addresses/5.6.7.8/").text
    assert "<td>1,234,567</td>" in text
    assert "SBL1 | Zürich" in text
    imported("1.1.1.1", name="three")
    text = viewer.get("/addresses/1.1.1.1/").text
    assert "Lists that it is on" in text
    assert "Score" not in text


def test_address_page__lists_that_it_is_on(viewer: Client) -> None:
    a_full_list()
    imported("5.6.7.8", name="other")
    text = show(viewer, "/addresses/1.1.1.1/")
    assert "Lists that it is on" in text
    assert "no, removed" in text
    response = viewer.get("/addresses/5.6.7.8/")
    assert "5.6.7.0/24" in response.text
    assert ">other</a>" in response.text
    assert "Lists that it is on" not in viewer.get("/addresses/8.8.8.8/").text


@pytest.mark.parametrize("long_list", [0, 20_000])
def test_addresses__of_one_list(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, long_list: int
) -> None:
    monkeypatch.setattr("geocache.web.filters.LONG_LIST", long_list)
    a_full_list()
    text = show(viewer, "/addresses/?listed=test")
    assert (LONDON in text, MOSCOW_V6 in text, "1.1.1.1" in text) == (True, True, False)
    assert MOSCOW_V6 not in show(viewer, "/addresses/?listed=test&country=GB")
    assert "No address in the table is like that." in show(viewer, "/addresses/?listed=none")


def test_import_now__makes_the_list_due(client: Client, settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": {"test": "/srv/test"}}
    url = a_full_list()
    ImportSource.objects.update(attempted_at=timezone.now() - timedelta(hours=1))
    client.force_login(an_admin())
    assert "Import now" in client.get(url).text
    assert client.get(f"{url}import/").status_code == 405
    response = client.post(f"{url}import/", follow=True)
    assert "The scheduler imports this list within a minute." in response.text
    assert ImportSource.objects.get().attempted_at is None


def test_import_now__needs_permission_and_a_token_of_its_form(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": {"test": "/srv/test"}}
    url = a_full_list()
    client = Client()
    client.force_login(a_viewer())
    assert "Import now" not in client.get(url).text
    assert client.post(f"{url}import/").status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(an_admin())
    assert strict.post(f"{url}import/").status_code == 403


def test_import_now__list_that_is_not_in_the_settings(client: Client) -> None:
    url = a_full_list()
    client.force_login(an_admin())
    assert "Import now" not in client.get(url).text
    response = client.post(f"{url}import/", follow=True)
    assert "nobody knows from where" in response.text
