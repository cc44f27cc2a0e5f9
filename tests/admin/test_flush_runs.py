import pytest

from tests.admin.asking import RUNS, a_run

pytestmark = [
    pytest.mark.django_db,
    # WhiteNoise, where nobody has run collectstatic.
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]


def test_admin__nobody_changes_or_deletes_a_run(superuser):
    run = a_run()
    assert superuser.post(f"{RUNS}{run.pk}/change/", {"flushed": 1}).status_code == 403
    assert superuser.post(f"{RUNS}{run.pk}/delete/", {"post": "yes"}).status_code == 403
