import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone
from msgspec.structs import replace

from geocache.location import Details, Subdivision
from geocache.lookup import lookup
from geocache.models import GeoCache
from geocache.statistics.table import refresh_statistics
from geocache.web import pagination
from tests.factories import (
    LONDON,
    MOSCOW_V6,
    NOON,
    a_location,
    a_row,
    a_stranger,
    a_viewer,
    an_admin,
    many_locations,
    use_dummy_provider,
)
from tests.support.assertions import assert_is_page, no_database_write

pytestmark = pytest.mark.django_db
LIST = "/addresses/"
DOWNLOADS = ("/addresses/download.csv", "/addresses/download.jsonl")
ONE = f"/addresses/{LONDON}/"
# The session, its user, its permissions; the countries, sources and lists to choose from, the
# rows, the statistics.
LIST_QUERIES = 4 + 3 + 1 + 1
# The session, its user, its permissions; row, head of the journal, neighbours on either side,
# history entries, the lists that it is on.
ONE_QUERIES = 4 + 2 + 2 + 1 + 1


def viewer_of_addresses():
    """Staff that may see addresses, and no lists."""
    user = User.objects.create_user("reader", password="reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_geocache"))
    return user


@pytest.fixture(autouse=True)
def provider(settings):
    return use_dummy_provider(settings, answers={LONDON: {"country_code": "GB"}})


def show(client, url, status=200, max_queries=LIST_QUERIES):
    with no_database_write(max_queries=max_queries):
        response = client.get(url)
    assert_is_page(response, status)
    return response.text


# --- who may ---------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [LIST, ONE, *DOWNLOADS])
def test_addresses__anonymous_is_sent_to_log_in_also_where_the_lookup_is_public(
    client, settings, url
):
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    with no_database_write(max_queries=0):
        response = client.get(url)
    assert response.url == f"/login/?next={url}"


@pytest.mark.parametrize("url", [LIST, ONE, *DOWNLOADS])
def test_addresses__stranger_is_refused(client, url):
    client.force_login(a_stranger())
    # Session, user, and the permissions of the user and of the groups.
    with no_database_write(max_queries=4):
        assert_is_page(client.get(url), 403)


@pytest.mark.parametrize("who", [a_viewer, an_admin])
def test_addresses__staff_sees_them(client, who):
    client.force_login(who())
    a_row()
    assert "United Kingdom" in show(client, LIST)
    assert "United Kingdom" in show(client, ONE, max_queries=ONE_QUERIES)


@pytest.mark.parametrize("url", [LIST, ONE, *DOWNLOADS])
def test_addresses__are_only_read(viewer, url):
    assert viewer.post(url).status_code == 405


# --- the list --------------------------------------------------------------------------------


def test_list__empty_table_says_what_to_do(viewer):
    text = show(viewer, LIST)
    assert "No address is in the table yet." in text
    assert "Look up an address" in text


def test_list__empty_filter_says_so(viewer):
    a_row()
    assert "No address in the table is like that." in show(viewer, f"{LIST}?country=FR")


def test_list__row_leads_to_its_page_and_to_its_like(viewer):
    a_row(asn=64500, organization="<b>Net</b>")
    text = show(viewer, LIST)
    for link in (
        f'href="{ONE}"',
        'href="/addresses/?country=GB"',
        'href="/addresses/?asn=64500"',
        'href="/addresses/?network=81.2.69.0/24"',
    ):
        assert link in text, link
    assert "&lt;b&gt;Net" in text


def test_list__filter_narrows_it_and_stays_in_the_form(viewer):
    a_row()
    a_row(MOSCOW_V6, country_code="RU", network="")
    text = show(viewer, f"{LIST}?country=ru&network=2a02::/16")
    assert MOSCOW_V6 in text
    assert f">{LONDON}<" not in text
    assert 'value="2a02::/16"' in text
    assert "Show all" in text


def test_list__fields_left_empty_are_no_part_of_the_link(viewer):
    with no_database_write(max_queries=4):
        response = viewer.get(f"{LIST}?country=DE&asn=&network=&sort=oldest")
    assert response.url == f"{LIST}?country=DE&sort=oldest"
    assert viewer.get(f"{LIST}?country=").url == LIST


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("country=Germany", "The country is a code of two letters"),
        ("network=x", "“x” is not a network"),
        ("contry=DE", "There is no filter “contry”."),
        ("after=x", "This link to a page of the list is broken"),
        ("before=1~x", "This link to a page of the list is broken"),
        ("x%00=1", "There is no filter “x\ufffd”."),
        ("network=<script>", "“&lt;script&gt;” is not a network"),
    ],
)
def test_list__value_that_cannot_be_used_is_said_and_nothing_listed(viewer, query, problem):
    a_row()
    text = show(viewer, f"{LIST}?{query}")
    assert text.count("<li>") == 1
    assert problem in text
    assert f">{LONDON}<" not in text


def test_list__pages_go_on_and_back_with_the_filter(viewer):
    GeoCache.objects.upsert(many_locations(2 * pagination.PAGE_ROWS + 5))
    text = show(viewer, f"{LIST}?country=GB&sort=address")
    seen = rows_in(text)
    while link := link_in(text, "next"):
        assert "country=GB" in link
        text = show(viewer, LIST + link, max_queries=LIST_QUERIES + 1)
        seen += rows_in(text)
    assert len(seen) == len(set(seen)) == 2 * pagination.PAGE_ROWS + 5
    back = show(viewer, LIST + link_in(text, "prev"), max_queries=LIST_QUERIES + 1)
    assert rows_in(back) == seen[pagination.PAGE_ROWS : 2 * pagination.PAGE_ROWS]


def rows_in(text):
    return [part.split("<")[0] for part in text.split('/">')[1:] if part[:3] == "20."]


def link_in(text, rel):
    _, found, rest = text.partition(f'rel="{rel}" href="')
    return rest.split('"')[0].replace("&amp;", "&") if found else ""


def test_list__says_about_how_many_when_they_were_counted(viewer):
    GeoCache.objects.upsert(many_locations(1_234))
    assert "About" not in show(viewer, LIST)
    refresh_statistics()
    assert "About 1,234 addresses are remembered." in show(viewer, LIST)
    assert "About" not in show(viewer, f"{LIST}?country=GB")


def test_list__value_that_no_page_may_hold_finds_nothing(viewer):
    a_row()
    assert "No address in the table is like that." in show(viewer, f"{LIST}?source=%00")


def test_list__never_counts_the_table(viewer):
    a_row()
    with no_database_write(max_queries=LIST_QUERIES) as queries:
        viewer.get(LIST)
    assert "COUNT(" not in str(queries.captured_queries).upper()


# --- the download ----------------------------------------------------------------------------


def test_download__has_what_is_listed_in_its_order(viewer):
    for seconds, location in enumerate(many_locations(5)):
        a_row(location.address, resolved_at=NOON + timedelta(seconds=seconds))
    a_row("1.2.3.4", country_code="RU")
    with no_database_write(max_queries=5):
        response = viewer.get("/addresses/download.jsonl?country=GB&sort=newest")
        lines = [json.loads(line) for line in response.getvalue().splitlines()]
    assert [line["address"] for line in lines] == [f"20.0.0.{n}" for n in (4, 3, 2, 1, 0)]
    assert response["Content-Disposition"] == 'attachment; filename="addresses.jsonl"'


def test_download__csv_is_safe_for_spreadsheets(viewer):
    a_row(organization="=1+1", longitude=-0.1, latitude=51.5)
    text = viewer.get("/addresses/download.csv").getvalue().decode()
    assert ",'=1+1," in text
    assert ",-0.1," in text


def test_download__value_that_cannot_be_used_is_no_file(viewer):
    response = viewer.get("/addresses/download.csv?country=Germany")
    assert response.status_code == 400
    assert response.text == "The country is a code of two letters, such as DE."


@pytest.mark.parametrize("kind", ["json", "xlsx", "x/y"])
def test_download__other_kinds_do_not_exist(viewer, kind):
    assert viewer.get(f"/addresses/download.{kind}", follow=True).status_code == 404


# --- one address -----------------------------------------------------------------------------


def test_address__everything_is_shown(viewer):
    a_row(
        region="England",
        postal_code="N1",
        latitude=51.5,
        longitude=-0.125,
        accuracy_radius_km=10,
        time_zone="Europe/London",
        asn=64500,
        organization="Test <Networks>",
    )
    text = show(viewer, ONE, max_queries=ONE_QUERIES)
    for shown in (
        "🇬🇧",
        "England",
        "London N1",
        "51.5, -0.125",
        "10 km",
        "Europe/London",
        "AS64500",
        "Test &lt;Networks&gt;",
        "Dummy 1",
        "2026-01-02 12:00 UTC",
        "the table",
        "asks the provider",
        '<svg class="map"',
        '"/addresses/?network=81.2.69.0/24"',
        f'"/admin/geocache/geocache/{LONDON}/change/"',
    ):
        assert shown in text, shown


VPN = {
    "registered_country_code": "FR",
    "is_in_european_union": True,
    "continent_code": "EU",
    "region": "England",
    "region_code": "GB-ENG",
    "subdivisions": (Subdivision("GB-ENG", "England"), Subdivision("GB-WBK", "West <Berkshire>")),
    "metro_code": 1819,
    "organization": "Test Networks",
    "isp": "Test <ISP>",
    "domain": "example.net",
    "user_type": "residential",
    "connection_type": "Cable/DSL",
    "mobile_country_code": "234",
    "mobile_network_code": "04",
    "traits": ("anonymous", "anonymous_vpn", "crawler_farm", "hosting_provider"),
    "details": Details.of({"anonymizer_confidence": 99, "provider_name": "<b>", "new_thing": True}),
    "source": "A 1, B 1",
    "given_by": "1.4000",
}


def test_address__kind_of_network_and_all_that_few_know_is_shown(viewer):
    a_row(**VPN)
    text = show(viewer, ONE, max_queries=ONE_QUERIES)
    for shown in (
        '<a href="/addresses/?continent=EU">Europe</a>; in the European Union',
        "<dt>Registered in</dt><dd>France</dd>",
        'href="/addresses/?region=GB-ENG">GB-ENG</a>',
        'West &lt;Berkshire&gt; <span class="code">GB-WBK</span>',
        '<dd class="code">1819</dd>',
        "Test &lt;ISP&gt;",
        "example.net",
        '<a href="/addresses/?user_type=residential">Household</a>',
        '<a href="/addresses/?connection_type=Cable%2FDSL">Cable or DSL</a>',
        "MCC 234 MNC 04",
        '<a href="/addresses/?trait=anonymous_vpn">VPN</a>',
        "<dt>VPN</dt><dd>The exit of a VPN: the person behind it may be anywhere.</dd>",
        "<dt>Crawler farm</dt>",
        "<dt>Certainty that it is anonymous (%)</dt><dd>99</dd>",
        "<dt>Name of the provider</dt><dd>&lt;b&gt;</dd>",
        "<dt>New thing</dt><dd>yes</dd>",
        "<li>A 1: country</li><li>B 1: kind of network</li>",
    ):
        assert shown in text, shown


def test_address__badges_have_first_what_calls_for_attention(viewer):
    a_row(**VPN)
    text = show(viewer, ONE, max_queries=ONE_QUERIES)
    badges = re.findall(r'<li class="geo-badge is-(\w+)" title="[^"]*"><a [^>]*>([^<]*)</a>', text)
    assert badges[:3] == [
        ("attention", "VPN"),
        ("neutral", "Data centre"),
        ("quiet", "Crawler farm"),
    ]


def test_address__answer_that_says_no_more_has_no_empty_facts(viewer):
    a_row()
    text = show(viewer, ONE, max_queries=ONE_QUERIES)
    for name in (
        "Registered in",
        "Within it",
        "ISP",
        "Users",
        "Connection",
        "Details",
        "geo-badge",
    ):
        assert name not in text


def test_address__that_names_a_continent_only(viewer):
    a_row(country_code="", city="", continent_code="AF")
    assert "Africa</p>" in show(viewer, ONE, max_queries=ONE_QUERIES)
    assert '<td data-label="Country">Africa</td>' in show(viewer, LIST)


@pytest.mark.parametrize(("make", "is_shown"), [(an_admin, True), (viewer_of_addresses, False)])
def test_address__labels_of_lists_are_for_those_who_see_lists(client, monkeypatch, make, is_shown):
    def labelled(answers):
        return [replace(one, traits=("bot",)) for one in answers]

    monkeypatch.setattr("geocache.web.access.labelled", labelled)
    a_row()
    client.force_login(make())
    for url in (ONE, LIST):
        assert (">Bot<" in show(client, url, max_queries=20)) is is_shown


def test_list__rows_have_badges_and_can_be_filtered_by_them(viewer):
    a_row(**VPN)
    a_row("9.9.9.9")
    text = show(viewer, f"{LIST}?trait=anonymous_vpn&continent=EU")
    assert re.search(r'<li class="geo-badge is-attention" title="[^"]+">VPN</li>', text)
    assert '<details class="more-filters" open>' in text
    assert "download.csv?trait=anonymous_vpn&amp;continent=EU" in text
    assert "9.9.9.9" not in text
    file = viewer.get("/addresses/download.csv?trait=anonymous_vpn").getvalue().decode()
    assert LONDON in file
    assert "9.9.9.9" not in file


def test_address__says_when_it_was_last_asked_for(viewer):
    a_row(LONDON)
    GeoCache.objects.update(last_seen_on=NOON + timedelta(days=9))
    page = show(viewer, ONE, max_queries=ONE_QUERIES)
    assert "<dt>Last requested</dt><dd>2026-01-11</dd>" in page


def test_address__v6_leads_to_its_object_in_the_admin(client):
    client.force_login(an_admin())
    a_row(MOSCOW_V6, network="2a02:6b8::/32")
    text = show(client, f"/addresses/{MOSCOW_V6}/", max_queries=ONE_QUERIES)
    _, _, rest = text.partition('<a href="/admin/geocache/geocache/')
    response = client.get(f"/admin/geocache/geocache/{rest.split(chr(34))[0]}")
    assert response.status_code == 200


def test_address__new_one_is_shown_before_it_is_flushed(viewer):
    lookup(LONDON)
    text = show(viewer, ONE, max_queries=ONE_QUERIES)
    assert "it waits for the next flush" in text
    assert "is answered by the hot entry" in text
    assert "In the admin" not in text


def test_address__not_found_is_an_answer(viewer):
    a_row("8.8.8.8", country_code="", city="", network="", reason="not_found")
    text = show(viewer, "/addresses/8.8.8.8/", max_queries=ONE_QUERIES)
    assert "Nothing is known about where it is." in text
    assert "not found" in text


def test_address__neighbours_are_the_nearest_in_its_network(viewer):
    GeoCache.objects.upsert(
        [a_location(f"81.2.69.{n}") for n in range(100, 200)] + [a_location("81.2.70.1")]
    )
    text = show(viewer, ONE, max_queries=ONE_QUERIES)
    shown = [n for n in range(256) if f'href="/addresses/81.2.69.{n}/"' in text]
    assert shown == [*range(132, 142), *range(143, 153)]


def test_address__that_is_not_held_offers_a_look_up_and_asks_nobody(viewer, provider):
    text = show(viewer, ONE, status=404, max_queries=ONE_QUERIES)
    assert "Nothing is remembered about this address." in text
    assert f'href="/lookup/?ip={LONDON}"' in text
    assert provider.asked == []


def test_address__metered_provider_is_not_paid(viewer, settings):
    provider = use_dummy_provider(settings, answers={}, is_metered=True)
    text = show(viewer, ONE, 404, max_queries=ONE_QUERIES + 2)
    assert "asks Dummy 1" in text
    assert "one query, of any number a day" in text
    a_row()
    show(viewer, ONE, max_queries=ONE_QUERIES + 2)
    assert provider.asked == []


def test_address__says_what_is_left_of_today(viewer, settings):
    use_dummy_provider(settings, answers={}, is_metered=True, queries_per_day=1000)
    lookup("9.9.9.9")
    text = show(viewer, ONE, 404, max_queries=ONE_QUERIES + 2)
    assert "one query, of 999 that are left today" in text


def test_address__in_a_known_network_costs_nothing(viewer, settings):
    use_dummy_provider(settings, answers={}, is_metered=True)
    a_row("81.2.69.7", resolved_at=timezone.now())
    text = show(viewer, ONE, 404, max_queries=ONE_QUERIES + 2)
    assert "is answered by what is known of 81.2.69.0/24" in text


def test_address__says_key_and_build_and_why_it_is_stale(viewer, provider):
    a_row(source="Dummy 0")
    text = show(viewer, ONE, max_queries=ONE_QUERIES)
    assert f'<dd class="code">{provider.build()}</dd>' in text
    assert f":{LONDON}</dd>" in text
    assert "no: a part of its source is not in use any more" in text
    assert "no: it is older than such an answer should be" in text
    a_row(resolved_at=timezone.now())
    assert "no: " not in show(viewer, ONE, max_queries=ONE_QUERIES)


def test_address__provider_that_fails_is_said_to_staff(viewer, settings, tmp_path):
    given = {name: value for name, value in settings.GEOCACHE.items() if name != "PROVIDER"}
    settings.GEOCACHE = given | {"DATABASES": [tmp_path / "gone.mmdb"]}
    a_row()
    text = show(viewer, ONE, max_queries=ONE_QUERIES)
    assert "perhaps not: no newer one can be had" in text
    assert "gone.mmdb: No such file or directory</small>" in text


@pytest.mark.parametrize(("address", "reason"), [("10.0.0.1", "private"), ("::1", "loopback")])
def test_address__special_one_says_why_nothing_is_known(viewer, address, reason):
    text = show(viewer, f"/addresses/{address}/", max_queries=ONE_QUERIES)
    assert f"Such an address ({reason}) belongs to no place." in text


@pytest.mark.parametrize(
    "address", ["x", "1.2.3.4.5", "192.0.2.256", "%3Cscript%3E", "1" * 300, "%00"]
)
def test_address__what_is_none_is_not_found_and_says_so(viewer, address):
    text = show(viewer, f"/addresses/{address}/", status=404, max_queries=4)
    assert "is not an IP address." in text
    assert "<script>" not in text


@pytest.mark.parametrize("written", ["::ffff:81.2.69.142", "::FFFF:81.2.69.142"])
def test_address__has_one_page_however_it_is_written(viewer, written):
    assert viewer.get(f"/addresses/{written}/").url == ONE
