from typing import Any

import pytest
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from django_apscheduler.jobstores import DjangoJobStore
from django_apscheduler.models import DjangoJob

from geocache.integrations.apscheduler import add_jobs
from geocache.journal import writer
from geocache.models import GeoCache
from tests.factories import many_locations
from tests.support import processes

FLUSH, HISTORY = "geo_cache_flush", "geo_prune_history"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("store", [MemoryJobStore, DjangoJobStore])
def test_add_jobs__run_in_a_scheduler_of_the_host_beside_its_own(store: Any) -> None:
    scheduler = BackgroundScheduler()
    scheduler.add_jobstore(store(), "default")
    scheduler.add_job("time:time", "interval", hours=1, id="nightly_invoice")
    writer.append(many_locations(3))
    for _ in range(2):
        assert add_jobs(scheduler) == [FLUSH, HISTORY]
    scheduler.start()
    try:
        processes.wait_until(lambda: GeoCache.objects.count() == 3)
        add_jobs(scheduler)
        ids = sorted(job.id for job in scheduler.get_jobs())
    finally:
        scheduler.shutdown()
    assert ids == [FLUSH, HISTORY, "nightly_invoice"]


@pytest.mark.django_db(transaction=True)
def test_add_jobs__removes_ours_that_are_off_and_heals_rows_of_earlier_releases(
    settings: Any,
) -> None:
    DjangoJob.objects.create(id=FLUSH, job_state=b"not a pickle")
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": 9}
    scheduler = BackgroundScheduler()
    scheduler.add_jobstore(DjangoJobStore(), "default")
    scheduler.start(paused=True)
    try:
        assert "geo_prune" in add_jobs(scheduler)
        settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": 0}
        assert "geo_prune" not in add_jobs(scheduler)
        assert {job.id for job in scheduler.get_jobs()} == {FLUSH, HISTORY}
        assert scheduler.get_job(FLUSH).func_ref == "geocache.jobs:geo_cache_flush"
    finally:
        scheduler.shutdown()
