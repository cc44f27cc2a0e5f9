"""The jobs as tasks of Django, which its backends run in processes of their own."""

try:
    from django.tasks import task
except ImportError as error:
    raise ImportError("geocache.integrations.tasks needs Django 6.0 or later") from error

from geocache import jobs
from geocache.jobs import JobReport

# A worker imports a task by the path of its function: each has to be one of this module.


@task
def geo_cache_flush() -> JobReport:
    """Write the dirty answers to the table."""
    return jobs.geo_cache_flush()


@task
def geo_import() -> JobReport:
    """Import the lists that are due."""
    return jobs.geo_import()


@task
def geo_bans() -> JobReport:
    """Apply and end the bans that are due."""
    return jobs.geo_bans()


@task
def geo_database_update() -> JobReport:
    """Fetch newer databases."""
    return jobs.geo_database_update()


@task
def geo_refresh() -> JobReport:
    """Resolve rows again that may be wrong by now."""
    return jobs.geo_refresh()


@task
def geo_prune() -> JobReport:
    """Remove rows not asked for in ``RETENTION_DAYS``."""
    return jobs.geo_prune()


@task
def geo_licence() -> JobReport:
    """Refresh or remove what its licence does not allow to be kept."""
    return jobs.geo_licence()


@task
def geo_prune_history() -> JobReport:
    """Forget old runs."""
    return jobs.geo_prune_history()
