"""The demo's own admin user, in whatever model of users the project has."""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import router, transaction

NAME: Final = "admin"
# By this the demo knows an account that it made itself: nobody else's password is ever changed.
EMAIL: Final = "admin@demo.invalid"
MAKE_ONE: Final = "make one with manage.py createsuperuser"


@dataclass(frozen=True, slots=True)
class DemoAdmin:
    """Who can log in, and with which password; or why nobody new can."""

    name: str = ""
    password: str = ""
    problem: str = ""

    def __str__(self) -> str:
        if self.password:
            return f"Admin user {self.name}, with the one-time password {self.password}"
        return self.problem


def prepare() -> DemoAdmin:
    """Make the user, or give the one of an earlier demo a new password."""
    if not apps.is_installed("django.contrib.auth"):
        return DemoAdmin(problem="There is no admin user: django.contrib.auth is not installed.")
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - its models have to be installed

    model: Any = get_user_model()
    try:
        with transaction.atomic(using=router.db_for_write(model)):
            return _prepare(model)
    except Exception as error:  # noqa: BLE001 - whatever a project's own model and manager raise
        reason = " ".join(str(error).split()) or type(error).__name__
        return DemoAdmin(problem=f"No admin user was made ({reason}): {MAKE_ONE}.")


def _prepare(model: Any) -> DemoAdmin:
    name = EMAIL if _email_field(model) == model.USERNAME_FIELD else NAME
    password = secrets.token_urlsafe(12)
    user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
    if user is None:
        _create(model, name, password)
    elif _email(user) != EMAIL:
        return DemoAdmin(problem=f"There is a user {name} already; its password stays as it is.")
    else:
        user.set_password(password)
        user.save()
    return DemoAdmin(name=name, password=password)


def _create(model: Any, name: str, password: str) -> None:
    """Make the user as createsuperuser does: with the fields that its model asks for."""
    known = {_email_field(model): EMAIL, model.USERNAME_FIELD: name}
    required = model.REQUIRED_FIELDS
    if unknown := [field for field in required if field not in known]:
        raise ValueError(f"the model of users requires {', '.join(unknown)}")
    fields = {field: known[field] for field in (model.USERNAME_FIELD, *required)}
    model._default_manager.create_superuser(**fields, password=password)


def _email_field(model: Any) -> str:
    """Return the name of the field that holds an email address, or the empty text."""
    name = model.get_email_field_name()
    return name if any(field.name == name for field in model._meta.fields) else ""


def _email(user: Any) -> object:
    return getattr(user, _email_field(type(user)) or "-", None)
