"""What is wrong with a database that is too old, and what to do about it in this set-up."""

from datetime import datetime

from django.utils.translation import gettext as _

from geocache import conf
from geocache.databases.editions import wanted_editions
from geocache.databases.update import folder
from geocache.exceptions import UpdateError
from geocache.licences.limits import level_of_age
from geocache.providers.base import Source
from geocache.providers.credits import licence_of_source


def licence_sentence(source: Source, at: datetime) -> str:
    """Return what the licence of a source says of its age at ``at``; no text while it is young."""
    licence = licence_of_source(source)
    level = level_of_age(licence, source.built_at, at)
    if level is None:
        return ""
    if not licence.is_limit_certain:
        said = _(
            "The %(licence)s asks to replace a database within %(days)s days, unless your contract "
            "says otherwise."
        )
    elif level == "critical":
        said = _("The %(licence)s does not allow its use for longer than %(days)s days.")
    else:
        said = _("The %(licence)s allows its use for %(days)s days, which are nearly over.")
    return said % {"licence": licence.name or source.name, "days": licence.max_age_days}


def advice_for(source: Source) -> str:
    """Return what to do about a file that is too old; no text for a service, which has no age."""
    if source.built_at is None:
        return ""
    if source.is_fallback and conf.get("DATABASES"):
        said = _("Name a newer database in DATABASES in the place of %(path)s.")
        return said % {"path": source.path}
    if source.is_fallback or _is_fetched(source):
        if _needs_no_account():
            return _("Run manage.py update_geo, which needs no account.")
        return _("Run manage.py update_geo.")
    if source.path is None:
        return _("Replace it with a newer one.")
    said = _("Replace %(path)s with a newer file; manage.py update_geo does not fetch this one.")
    return said % {"path": source.path}


def _is_fetched(source: Source) -> bool:
    """Tell whether an update replaces the file of a source, and look-ups then use it."""
    path = source.path
    if path is None or path.resolve().parent != folder().resolve():
        return False
    try:
        names = {f"{one.name}.mmdb" for one in wanted_editions()}
    except UpdateError:
        return False
    return path.name in names


def _needs_no_account() -> bool:
    account = conf.get("MAXMIND_ACCOUNT_ID") or conf.get("MAXMIND_LICENSE_KEY")
    return not (account or conf.get("UPDATE_URLS"))
