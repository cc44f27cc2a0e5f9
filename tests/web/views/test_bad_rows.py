"""Rows that another program has written, or an older release: no page fails because of one."""

from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from geocache.models import GeoCache, ImportRun, ImportSource, ListedAddress
from tests.factories import LONDON, a_row

pytestmark = pytest.mark.django_db

BAD_TEXTS = ("9.9.9.9/24", "garbage", " 9.9.9.9", "9.9.9.009", "a/b/c", "?x=1")


@pytest.fixture
def bad_rows() -> ImportSource:
    if connection.vendor == "postgresql":
        pytest.skip("its type for addresses takes no other text")
    row = a_row(LONDON)
    for number, text in enumerate(BAD_TEXTS):
        row.pk, row.sort_key, row.network = text, f"{number:032x}", text
        row.save(force_insert=True)
    source = ImportSource.objects.create(name="bad")
    run = ImportRun.objects.create(source=source, state="completed", started_at=timezone.now())
    ImportSource.objects.filter(pk=source.pk).update(current_run=run)
    ListedAddress.objects.bulk_create(
        ListedAddress(
            source=source,
            entry=text,
            sort_key=f"{number:032x}",
            prefix_length=32,
            first_listed_at=timezone.now(),
            added_run=run,
        )
        for number, text in enumerate(BAD_TEXTS)
    )
    return source


def test_pages__a_bad_row_fails_none(admin_client: Any, bad_rows: ImportSource) -> None:
    pages = [
        "/",
        reverse("geocache:addresses"),
        reverse("geocache:addresses") + "?order=recent",
        reverse("geocache:addresses") + "?search=9.9.9.0/24",
        reverse("geocache:list", args=[bad_rows.pk]),
        reverse("geocache:import_run", args=[bad_rows.runs.get().pk]),
        reverse("admin:geocache_geocache_changelist"),
        reverse("admin:geocache_listedaddress_changelist"),
    ]
    assert {page: admin_client.get(page).status_code for page in pages} == dict.fromkeys(pages, 200)


@pytest.mark.usefixtures("bad_rows")
def test_address_page__of_a_bad_row_says_what_it_is_not(admin_client: Any) -> None:
    for text in BAD_TEXTS:
        page = admin_client.get(reverse("geocache:address", args=[text]), follow=True)
        assert page.status_code == 404


def test_address_page__a_network_that_is_not_one_is_passed_over(admin_client: Any) -> None:
    a_row(LONDON)
    GeoCache.objects.update(network="garbage")
    page = admin_client.get(reverse("geocache:address", args=[LONDON]))
    assert page.status_code == 200
