"""One change at a time: of two operators with the same form, the second overwrites nothing."""

from django.db import IntegrityError

from geocache.admin.setting_rows import mark
from geocache.instants import utc_now
from geocache.models import SettingOverride
from geocache.models.connection import atomic


class OtherChange(Exception):
    """Another process has changed the setting meanwhile."""

    def __init__(self, stored: SettingOverride | None) -> None:
        super().__init__()
        self.stored = stored


def claim(name: str, seen: str) -> SettingOverride | None:
    """Lock the row of a setting until the transaction ends; return what it held, if it was there.

    ``seen`` is the mark that the form was given. Raises ``OtherChange``.
    """
    rows = SettingOverride.written()
    # Changes nothing. SQLite refuses to write in a transaction that has read what is outdated.
    rows.filter(name=name).update(name=name)
    stored = rows.select_for_update().filter(name=name).first()
    if mark(stored) != seen:
        raise OtherChange(stored)
    if stored is None:
        try:
            # Of two that both see none, the database lets one in; the other waits, and is told.
            with atomic():
                rows.create(name=name, changed_at=utc_now())
        except IntegrityError as error:
            raise OtherChange(rows.filter(name=name).first()) from error
    return stored
