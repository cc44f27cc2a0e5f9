"""The demo's own admin user."""

import secrets
from typing import Final

from django.contrib.auth import get_user_model

NAME: Final = "admin"
# By this the demo knows an account that it made itself: nobody else's password is ever changed.
EMAIL: Final = "admin@demo.invalid"


def one_time_password() -> str:
    """Make the user, or give it a new password; return it, or the empty text if it is another's."""
    users = get_user_model()._default_manager
    password = secrets.token_urlsafe(12)
    user = users.filter(username=NAME).first()
    if user is None:
        users.create_superuser(NAME, EMAIL, password)
    elif user.email != EMAIL:
        return ""
    else:
        user.set_password(password)
        user.save()
    return password
