import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from geocache.bans import apply as bans
from geocache.labels import labels_of
from geocache.models import Ban, ImportRun, ImportSource, ListedAddress, SchedulerLease
from geocache.models.scheduler import SCHEDULER_LEASE
from geocache.signals import blocklist_changed
from tests.factories import a_viewer, an_admin, use_dummy_provider
from tests.support.assertions import assert_valid_html, no_database_write
from tests.support.ban_actions import RecordingAction, use_action
from tests.support.blocklists import an_entry, imported, imported_entries
from tests.support.receivers import receiving

pytestmark = pytest.mark.django_db
SOURCES = "/admin/geocache/importsource/"
ENTRIES = "/admin/geocache/listedaddress/"


@pytest.fixture(autouse=True)
def _lists(settings: Any) -> None:
    use_dummy_provider(settings)
    use_action(settings, RecordingAction)
    imported("1.1.1.1", "5.6.7.0/24")


@pytest.mark.parametrize("name", ["importsource", "importrun", "listedaddress", "ban"])
def test_admin__is_read_only(client: Client, name: str) -> None:
    client.force_login(a_viewer())
    url = f"/admin/geocache/{name}/"
    with no_database_write(max_queries=9):
        response = client.get(url)
    assert_valid_html(response)
    models = {"importsource": ImportSource, "importrun": ImportRun, "ban": Ban}
    row: Any = models.get(name, ListedAddress)._default_manager.all()[0]
    client.force_login(an_admin())
    assert client.post(f"{url}add/").status_code == 403
    if name != "importsource":
        change = f"{url}{str(row.pk).replace('/', '_2F')}/change/"
        assert client.post(change).status_code == 403


def test_entries__are_found_by_their_whole_text(client: Client) -> None:
    client.force_login(a_viewer())
    assert "5.6.7.0/24" in client.get(f"{ENTRIES}?q=5.6.7.0/24").text
    assert "1.1.1.1</a>" not in client.get(f"{ENTRIES}?q=5.6.7.0/24").text
    assert "0 listed addresses" in client.get(f"{ENTRIES}?q=nonsense").text


@pytest.fixture
def scored() -> str:
    """The link to the entries of a list that has scores."""
    imported_entries(
        an_entry("20.0.0.1", 9.0, "Zürich <b>"),
        an_entry("20.0.0.2", 60),
        an_entry("20.0.0.3", 0.5),
        an_entry("20.0.0.4"),
        name="scored",
    )
    return f"{ENTRIES}?source__id__exact={ImportSource.objects.get(name='scored').pk}"


def shown(client: Client, url: str) -> list[str]:
    with no_database_write(max_queries=12):
        response = client.get(url)
    assert_valid_html(response)
    return re.findall(r">(20\.0\.0\.\d|1\.1\.1\.1|5\.6\.7\.0/24)</a>", response.text)


def test_entries__score_and_comment_are_shown(client: Client, scored: str) -> None:
    client.force_login(a_viewer())
    text = client.get(scored).text
    assert '<td class="field-score_text">9</td>' in text
    assert '<td class="field-score_text">0.5</td>' in text
    assert '<td class="field-short_comment">Zürich &lt;b&gt;</td>' in text
    row = ListedAddress.objects.get(entry="20.0.0.1")
    assert "Zürich &lt;b&gt;" in client.get(f"{ENTRIES}{row.pk}/change/").text


def test_entries__long_comment_is_whole_where_one_entry_is_shown(client: Client) -> None:
    imported_entries(an_entry("20.0.0.1", comment="a comment of many words " * 20), name="scored")
    client.force_login(a_viewer())
    assert "\u2026</td>" in client.get(ENTRIES).text
    row = ListedAddress.objects.get(entry="20.0.0.1")
    assert row.comment in client.get(f"{ENTRIES}{row.pk}/change/").text
    assert len(row.comment) > 190


def test_entries__from_some_score_on_the_highest_first(client: Client, scored: str) -> None:
    client.force_login(a_viewer())
    assert shown(client, f"{scored}&min_score=any") == ["20.0.0.2", "20.0.0.1", "20.0.0.3"]
    assert shown(client, f"{scored}&min_score=5") == ["20.0.0.2", "20.0.0.1"]
    assert shown(client, f"{scored}&min_score=50&is_listed__exact=1") == ["20.0.0.2"]
    assert len(shown(client, scored)) == 4


def test_entries__scores_are_offered_of_a_list_that_has_them(client: Client, scored: str) -> None:
    client.force_login(a_viewer())
    text = client.get(scored).text
    assert "50 and more" in text
    assert "75 and more" not in text
    other = ImportSource.objects.exclude(name="scored").get().pk
    for url in (ENTRIES, f"{ENTRIES}?source__id__exact={other}"):
        assert "and more" not in client.get(url).text
    # A score alone would be looked for among the entries of all lists.
    assert len(shown(client, f"{ENTRIES}?min_score=5")) == 6


@pytest.mark.parametrize("score", ["x", "-1", "nan", "4", "\u0663", "9" * 400])
def test_entries__score_that_is_none_leads_back(client: Client, scored: str, score: str) -> None:
    client.force_login(a_viewer())
    assert client.get(f"{scored}&min_score={score}").status_code == 302


def test_import_now__of_the_lists_in_the_settings(client: Client, settings: Any) -> None:
    imported("2.2.2.2", name="own")
    ImportSource.objects.update(attempted_at=timezone.now())
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": {"own": "/srv/own"}}
    client.force_login(an_admin())
    chosen = list(ImportSource.objects.values_list("pk", flat=True))
    data = {"action": "import_now", "_selected_action": chosen}
    text = client.post(SOURCES, data, follow=True).text
    assert "The scheduler imports 1 list within a minute." in text
    assert "Lists that are not in the settings are not imported." in text
    assert ImportSource.objects.get(name="own").attempted_at is None
    client.force_login(a_viewer())
    assert "import_now" not in client.get(SOURCES).text


def test_sources__deleted_goes_with_all_it_holds(client: Client) -> None:
    client.force_login(an_admin())
    source = ImportSource.objects.get()
    text = client.post(f"{SOURCES}{source.pk}/delete/", {"post": "yes"}, follow=True).text
    assert "Bans of deleted lists end with the command manage.py ban_geo, unless" in text
    assert not ImportSource.objects.exists()
    assert not ListedAddress.objects.exists()
    assert Ban.objects.count() == 2
    imported("1.1.1.1")
    assert RecordingAction.asked[-1] == ("unban", ["5.6.7.0/24"])


def test_sources__deleted_while_a_scheduler_runs_lose_their_bans_soon(client: Client) -> None:
    client.force_login(an_admin())
    SchedulerLease.of(SCHEDULER_LEASE).acquire("host:1", 60)
    data = {
        "action": "delete_selected",
        "_selected_action": [ImportSource.objects.get().pk],
        "post": "yes",
    }
    text = client.post(SOURCES, data, follow=True).text
    assert "Bans of deleted lists end within a minute, unless another list keeps them." in text
    # No request waits for a firewall.
    assert Ban.objects.count() == 2
    assert RecordingAction.asked[-1] == ("ban", ["1.1.1.1", "5.6.7.0/24"])
    # As the scheduler's job does.
    bans.apply_bans()
    assert not Ban.objects.exists()
    assert RecordingAction.asked[-1] == ("unban", ["1.1.1.1", "5.6.7.0/24"])


def test_sources__deleted_without_bans_say_nothing_of_them(client: Client) -> None:
    client.force_login(an_admin())
    Ban.objects.all().delete()
    source = ImportSource.objects.get()
    text = client.post(f"{SOURCES}{source.pk}/delete/", {"post": "yes"}, follow=True).text
    assert "Bans of deleted" not in text


def test_bans__deleted_one_is_applied_again_by_the_next_import(client: Client) -> None:
    client.force_login(a_viewer())
    assert client.post("/admin/geocache/ban/1.1.1.1/delete/", {"post": "yes"}).status_code == 403
    client.force_login(an_admin())
    client.post("/admin/geocache/ban/1.1.1.1/delete/", {"post": "yes"})
    assert [ban.entry for ban in Ban.objects.all()] == ["5.6.7.0/24"]
    imported("1.1.1.1", "5.6.7.0/24")
    assert RecordingAction.asked[-1] == ("ban", ["1.1.1.1"])


@pytest.mark.parametrize("is_action", [True, False])
def test_deleted_list__is_announced_after_the_commit(
    client: Client, django_capture_on_commit_callbacks: Any, is_action: bool
) -> None:
    client.force_login(an_admin())
    imported("1.1.1.1")  # the network is not listed any more
    source = ImportSource.objects.get()
    url, form = f"{SOURCES}{source.pk}/delete/", {"post": "yes"}
    if is_action:
        url = SOURCES
        form |= {"action": "delete_selected", "_selected_action": str(source.pk)}
    with receiving(blocklist_changed) as heard:
        with django_capture_on_commit_callbacks(execute=True):
            assert client.post(url, form).status_code == 302
            assert heard == []
        assert heard == [
            {
                "sender": ImportSource,
                "name": "test",
                "added_count": 0,
                "removed_count": 1,
                "changed_count": 0,
                "run_id": None,
            }
        ]


def test_list__label_is_all_that_a_person_may_change(client: Client) -> None:
    source = ImportSource.objects.get(name="test")
    url = f"/admin/geocache/importsource/{source.pk}/change/"
    client.force_login(a_viewer())
    assert client.post(url, {"label": "vpn"}).status_code == 403
    client.force_login(an_admin())
    # A process begins to import it between the page and the answer.
    ImportSource.objects.update(holder="another", name="test")
    assert_valid_html(client.get(url))
    response = client.post(url, {"label": "vpn", "name": "other", "holder": "", "problem": "x"})
    assert response.status_code == 302
    source.refresh_from_db()
    assert (source.label, source.holder, source.name) == ("vpn", "another", "test")
    assert source.current_run is not None
    assert labels_of("1.1.1.1") == labels_of("5.6.7.8") == ("vpn",)
    assert ">vpn<" in client.get("/admin/geocache/importsource/").text


@pytest.mark.parametrize("label", ["VPN", "a b", "v-p-n", "x" * 41, "vpn\n", "ä"])
def test_list__label_that_is_no_name_is_refused(client: Client, label: str) -> None:
    source = ImportSource.objects.get(name="test")
    client.force_login(an_admin())
    url = f"/admin/geocache/importsource/{source.pk}/change/"
    response = client.post(url, {"label": label})
    source.refresh_from_db()
    if label.strip() == "vpn":
        # A form strips the end of a line.
        assert source.label == "vpn"
    else:
        assert "errorlist" in response.text
        assert source.label == ""
