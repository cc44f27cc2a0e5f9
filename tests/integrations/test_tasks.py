import json
from typing import Any

import django
import pytest

from geocache import jobs
from geocache.journal import writer
from geocache.models import GeoCache
from tests.factories import many_locations

HAS_TASKS = django.VERSION >= (6, 0)


@pytest.mark.skipif(HAS_TASKS, reason="this Django has tasks")
def test_tasks__before_django_6_are_refused_in_one_line() -> None:
    with pytest.raises(ImportError, match=r"^geocache\.integrations\.tasks needs Django 6\.0 or"):
        import geocache.integrations.tasks  # noqa: F401, PLC0415 - it fails


@pytest.mark.skipif(not HAS_TASKS, reason="Django 6.0 or later has tasks")
@pytest.mark.django_db(transaction=True)
def test_tasks__each_job_is_one_whose_result_is_the_report(settings: Any) -> None:
    from django.utils.module_loading import import_string  # noqa: PLC0415 - beside the next

    from geocache.integrations import tasks  # noqa: PLC0415 - only where there are tasks

    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
    writer.append(many_locations(3))
    result = tasks.geo_cache_flush.enqueue()
    report = result.return_value
    assert json.loads(json.dumps(report)) == report
    assert (report["status"], report["detail"]["flushed"]) == ("done", 3)
    assert GeoCache.objects.count() == 3
    for job in jobs.JOBS:
        task = getattr(tasks, job.id)
        # A worker finds it by this path.
        assert import_string(task.module_path) == task
