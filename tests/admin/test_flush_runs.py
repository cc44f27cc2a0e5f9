import pytest

from tests.support.admin_pages import RUNS, a_run
from tests.support.assertions import assert_valid_html, no_database_write

pytestmark = pytest.mark.django_db


def test_admin__nobody_changes_or_deletes_a_run(superuser):
    run = a_run()
    assert superuser.post(f"{RUNS}{run.pk}/change/", {"flushed": 1}).status_code == 403
    assert superuser.post(f"{RUNS}{run.pk}/delete/", {"post": "yes"}).status_code == 403


def test_list__bar_is_measured_against_the_largest_run_of_the_page(viewer):
    a_run(flushed=0)
    a_run(flushed=1200)
    a_run(flushed=300)
    with no_database_write(max_queries=7):
        response = viewer.get(RUNS)
    assert_valid_html(response)
    for flushed in (0, 300, 1200):
        assert f'<meter max="1200" value="{flushed}">{flushed}</meter>' in response.text


def test_list__of_runs_that_wrote_nothing_has_bars_of_no_length(viewer):
    a_run(flushed=0)
    assert '<meter max="1" value="0">0</meter>' in viewer.get(RUNS).text
