"""Write and read a row of each model of the code that runs, and take it back; print what failed."""

import json
import uuid
from datetime import UTC, date, datetime

import django

django.setup()

from django.apps import apps  # noqa: E402 - Django has to be set up first
from django.db import connection, models, transaction  # noqa: E402

# What stands in a column that has to be given; the first kind that fits.
VALUES = (
    (models.BooleanField, lambda: False),
    (models.DateTimeField, lambda: datetime.now(UTC)),
    (models.DateField, date.today),
    (models.BinaryField, lambda: uuid.uuid4().bytes),
    (models.UUIDField, uuid.uuid4),
    (models.JSONField, dict),
    (models.GenericIPAddressField, lambda: "20.0.0.1"),
    # The keys of other rows, too, which are not looked at.
    ((models.IntegerField, models.FloatField, models.ForeignKey), lambda: 30_000),
)


def value_of(field):
    for kinds, make in VALUES:
        if isinstance(field, kinds):
            return make()
    return str(uuid.uuid4())[: field.max_length]


def is_needed(field):
    # Some tables have one row, whose key is a default.
    if field.primary_key and not isinstance(field, models.AutoField):
        return True
    has_default = field.has_default() or field.db_default is not models.NOT_PROVIDED
    return not (has_default or field.null or isinstance(field, models.AutoField))


def problem_of(model):
    try:
        with transaction.atomic():
            row = model(
                **{
                    field.attname: value_of(field)
                    for field in model._meta.concrete_fields
                    if is_needed(field)
                }
            )
            model._default_manager.bulk_create([row])
            assert model._default_manager.get(pk=row.pk) is not None
            transaction.set_rollback(True)
    except Exception as error:  # noqa: BLE001 - each is what this is asked for
        return f"{type(error).__name__}: {error}".strip().partition("\n")[0]
    return ""


# Most databases look at the keys of other rows when a transaction ends, MariaDB at once.
with connection.constraint_checks_disabled():
    problems = {
        model.__name__: problem_of(model) for model in apps.get_app_config("geocache").get_models()
    }
print(json.dumps(problems))
