"""Use all that writes on the databases of ``tests.routed_settings``; print what came of it as JSON.

A process of its own, as Django reads routers and databases once.
"""

# ruff: noqa: E402 - Django has to be set up first

import json
import os
from datetime import timedelta
from typing import Any

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.routed_settings"
django.setup()

from django.apps import apps
from django.core.management import call_command
from django.db import connections
from django.db.backends.signals import connection_created
from django.utils import timezone

from geocache.exceptions import ImportFailed
from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup_many
from geocache.maintenance.forget import forget
from geocache.maintenance.prune import prune
from geocache.maintenance.refresh import due_addresses
from geocache.models import (
    AnswerHistory,
    ApiToken,
    Ban,
    FlushRun,
    GeoCache,
    ImportRun,
    JournalHead,
    ListedAddress,
    ListedAddressQuerySet,
    SchedulerLease,
    Statistics,
)
from geocache.providers import factory
from geocache.statistics.after_flush import after_flush
from geocache.status import database_problem
from tests.routed_settings import ROUTED_TO
from tests.support.ban_actions import RecordingAction
from tests.support.blocklists import imported

ADDRESSES = ["81.2.69.142", "1.1.1.1", "8.8.8.8", "9.9.9.9"]
READ_ONLY = {
    "sqlite": "PRAGMA query_only=ON",
    "postgresql": "SET default_transaction_read_only=on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}
WRITTEN_TO = "geo" if ROUTED_TO == "geo" else "default"


def make_read_only(connection: Any, **_: Any) -> None:
    if connection.alias == "replica":
        with connection.cursor() as cursor:
            cursor.execute(READ_ONLY[connection.vendor])


def migrate() -> str:
    """Return what is said before the second database is migrated."""
    call_command("migrate", verbosity=0)
    problem = database_problem()
    call_command("migrate", "geocache", database=ROUTED_TO, verbosity=0)
    connections.close_all()
    connection_created.connect(make_read_only)
    return problem


def rows(model: type[Any]) -> Any:
    return model._default_manager.using(WRITTEN_TO)


def tables(alias: str) -> list[str]:
    names = connections[alias].introspection.table_names()
    return [name for name in names if name.startswith("geocache_")]


def import_that_fails(*entries: str) -> int:
    """Return how many entries an import has left that failed within a batch."""

    def fail(*_: Any) -> None:
        raise ImportFailed("in the middle")

    real = ListedAddressQuerySet.mark_removed
    ListedAddressQuerySet.mark_removed = fail  # type: ignore[method-assign]
    try:
        imported(*entries, name="fails")
    except ImportFailed:
        pass
    finally:
        ListedAddressQuerySet.mark_removed = real  # type: ignore[method-assign]
    return rows(ListedAddress).filter(source__name="fails").count()  # type: ignore[no-any-return]


def run() -> dict[str, Any]:
    done: dict[str, Any] = {"problem": database_problem()}
    lookup_many(ADDRESSES)
    report = flush_dirty()
    done["flushed"] = (report.flushed, report.rejected, report.lost, report.pending)
    done["head"] = JournalHead.written().filter(flushed_through__gt=0).exists()
    done["left_by_failed_import"] = import_that_fails("2.125.160.216", "81.2.69.160")

    done["imports"] = [
        (outcome.status, outcome.added_count, outcome.removed_count)
        for outcome in (imported("1.1.1.1", "8.8.8.8"), imported("1.1.1.1", "8.8.8.8"))
    ]
    done["resumed"] = imported("8.8.8.8", "9.9.9.9").added_count
    done["runs"] = rows(ImportRun).filter(source__name="test", state="completed").count()
    done["banned"] = sorted(rows(Ban).values_list("entry", flat=True))
    done["asked"] = len(RecordingAction.asked)

    flush_dirty()
    after_flush()
    done["counted"] = json.loads(rows(Statistics).get(pk=1).figures)["row_count"]
    old = timezone.now() - timedelta(days=400)
    rows(GeoCache).filter(pk="1.1.1.1").update(resolved_at=old, created_at=old)
    rows(GeoCache).filter(pk="8.8.8.8").update(source="Gone 2001-01-01")
    done["due"] = sorted(due_addresses(factory.current(), timezone.now()))
    rows(GeoCache).filter(pk="9.9.9.9").update(last_seen_on=old.date())
    done["pruned"] = prune(days=30, time_limit_seconds=60).pruned
    done["forgotten"] = forget(["8.8.8.8"])
    done["left"] = sorted(rows(GeoCache).filter(pk__in=ADDRESSES).values_list("pk", flat=True))

    lease = SchedulerLease.of("test")
    done["leased"] = (lease.acquire("one", 30), lease.acquire("another", 30))
    lease.release("one")
    done["flush_runs"] = rows(FlushRun).exists()
    done["history"] = rows(AnswerHistory).count()
    done["tokens"] = ApiToken.objects.using("default").count()
    done["tables"] = {alias: len(tables(alias)) for alias in ("default", ROUTED_TO)}
    done["models"] = len(list(apps.get_app_config("geocache").get_models()))
    return done


unmigrated = migrate()
print(json.dumps(run() | {"unmigrated": unmigrated}))
