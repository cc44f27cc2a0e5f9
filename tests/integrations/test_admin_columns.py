import pytest
from django.contrib import admin
from django.urls import path

from geocache.integrations.admin_columns import GeoColumns
from geocache.lookup import tiers
from tests.factories import LONDON
from tests.support.assertions import no_database_write
from tests.visits.models import Visit

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.integrations.test_admin_columns"),
]
URL = "/admin/visits/visit/"


class VisitAdmin(GeoColumns, admin.ModelAdmin):
    list_display = ("at", "ip", "page")
    list_editable = ("page",)
    list_per_page = 50
    geo_fields = ("ip", "sent_by")


site = admin.AdminSite()
site.register(Visit, VisitAdmin)
urlpatterns = [path("admin/", site.urls)]


@pytest.fixture(autouse=True)
def places(override_locations):
    known = {"country_code": "GB", "asn": 64500, "organization": "Test <b>Networks</b>"}
    return override_locations({LONDON: known})


def test_geo_columns__stand_behind_their_field_or_at_the_end(rf):
    shown = VisitAdmin(Visit, site).get_list_display(rf.get("/"))
    names = [getattr(one, "__name__", one) for one in shown]
    assert names == ["at", "ip", "country", "operator", "page", "country", "operator"]


def test_geo_columns__show_country_and_operator_as_text(superuser):
    Visit.objects.create(ip=LONDON, sent_by="not an address")
    text = superuser.get(URL).text
    assert "🇬🇧 United Kingdom" in text
    assert "AS64500 Test &lt;b&gt;Networks&lt;/b&gt;" in text


@pytest.mark.parametrize(("ip", "shown"), [("10.0.0.1", "(private)"), ("8.8.8.8", "(not found)")])
def test_geo_columns__empty_answer_says_why(superuser, ip, shown):
    Visit.objects.create(ip=ip)
    assert shown in superuser.get(URL).text


def test_geo_columns__no_address_is_an_empty_cell(superuser):
    Visit.objects.create(ip=None, sent_by="")
    text = superuser.get(URL).text
    assert text.count('<td class="field-country">-</td>') == 2


def test_geo_columns__page_is_one_batch_a_field_and_no_query_a_row(superuser, monkeypatch):
    Visit.objects.bulk_create([Visit(ip=f"20.0.0.{n}", sent_by=f"20.0.1.{n}") for n in range(100)])
    batches = []
    locate = tiers.locate_texts
    monkeypatch.setattr(tiers, "locate_texts", lambda asked: batches.append(asked) or locate(asked))
    # Session, user, two counts, the rows.
    with no_database_write(max_queries=5):
        assert superuser.get(URL).status_code == 200
    assert [len(batch) for batch in batches] == [50, 50]


def test_geo_columns__list_can_still_be_edited(superuser):
    visit = Visit.objects.create(ip=LONDON)
    given = {
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": str(visit.pk),
        "form-0-page": "/new/",
        "_save": "Save",
    }
    assert superuser.post(URL, given).status_code == 302
    visit.refresh_from_db()
    assert visit.page == "/new/"


def test_geo_columns__with_traits_have_a_third(rf, monkeypatch, superuser, override_locations):
    monkeypatch.setattr(VisitAdmin, "geo_traits", True)
    override_locations({LONDON: {"traits": ("anonymous", "anonymous_vpn", "hosting_provider")}})
    Visit.objects.create(ip=LONDON, sent_by="not an address")
    shown = VisitAdmin(Visit, site).get_list_display(rf.get("/"))
    names = [getattr(one, "__name__", one) for one in shown]
    assert names[2:5] == ["country", "operator", "kind_of_network"]
    text = superuser.get(URL).text
    assert '<td class="field-kind_of_network">VPN, Data centre</td>' in text
    assert '<td class="field-kind_of_network">-</td>' in text
