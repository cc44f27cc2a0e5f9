"""Ask for an import; apart from what imports, whose libraries no page has to load."""

from geocache import conf
from geocache.models import ImportSource


def ask_for(source: ImportSource) -> bool:
    """Have the scheduler import a list within a minute; False for one that it does not know."""
    if source.name not in conf.get("IMPORT_SOURCES"):
        return False
    ImportSource.objects.filter(pk=source.pk).update(attempted_at=None)
    return True
