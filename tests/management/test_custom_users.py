"""Models of users of a host's own, in a real project each: the tests' own model is Django's."""

from pathlib import Path

import pytest

from tests.support.small_project import SmallProject

pytestmark = pytest.mark.slow

SETTINGS = """
INSTALLED_APPS.append("accounts")
AUTH_USER_MODEL = "accounts.Member"
GEOCACHE = {"PROVIDER": {"BACKEND": "geocache.providers.dummy.DummyProvider"}}
"""
USES = "import uuid\nfrom django.db import models\nfrom django.contrib.auth import models as auth\n"
BY_EMAIL = """
class Members(auth.BaseUserManager):
    def create_superuser(self, email, password):
        user = self.model(email=email, is_superuser=True, is_staff=True)
        user.set_password(password)
        user.save()
        return user

class Member(auth.AbstractBaseUser, auth.PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)
    objects = Members()
    USERNAME_FIELD = "email"
"""
REQUIRES_MORE = """
class Member(auth.AbstractUser):
    born_on = models.DateField()
    REQUIRED_FIELDS = ["email", "born_on"]
"""
# No email, no staff, no permissions, and is_active is no field.
BARE = """
class Members(auth.BaseUserManager):
    def create_superuser(self, login, password):
        user = self.model(login=login)
        user.set_password(password)
        user.save()
        return user

class Member(auth.AbstractBaseUser):
    login = models.CharField(max_length=20, unique=True)
    objects = Members()
    USERNAME_FIELD = "login"
"""
WITHOUT_MANAGER = """
class Member(auth.AbstractBaseUser):
    login = models.CharField(max_length=20, unique=True)
    USERNAME_FIELD = "login"
"""
CODE = """
from django.core.management import call_command
call_command("makemigrations", "accounts", verbosity=0)
for _ in range(2):
    call_command("demo_geo", "--no-serve", addresses="addresses.txt")

from django.contrib.auth import get_user_model
from django.test import Client
from geocache.models import ApiToken

for user in get_user_model().objects.all():
    token = ApiToken(user=user, name="x")
    key = token.set_token()
    token.save()
    for client, headers in ((Client(), {"Authorization": f"Bearer {key}"}), (Client(), {})):
        client.force_login(user) if not headers else None
        print("API", client.get("/geo/api/lookup/8.8.8.8", headers=headers).status_code)
        print("PAGE", client.get("/geo/").status_code)
"""
MADE = "Admin user {}, with the one-time password "


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (BY_EMAIL, [MADE.format("admin@demo.invalid")] * 2),
        (
            REQUIRES_MORE,
            ["No admin user was made (the model of users requires born_on): make one with "] * 2,
        ),
        (
            BARE,
            [MADE.format("admin"), "There is a user admin already; its password stays as it is."],
        ),
        (WITHOUT_MANAGER, ["No admin user was made ('Manager' object has no attribute "] * 2),
    ],
    ids=["email", "required", "bare", "no manager"],
)
def test_demo_geo__says_who_can_log_in(tmp_path: Path, model: str, said: list[str]) -> None:
    host = SmallProject.make(
        tmp_path,
        SETTINGS,
        **{"accounts/__init__": "", "accounts/models": USES + model},  # type: ignore[arg-type]  # paths
    )
    (tmp_path / "addresses.txt").write_text("8.8.8.8\n")
    done = host.python(CODE)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    of_users = [line for line in lines if "user " in line]
    assert [line.startswith(text) for line, text in zip(of_users, said, strict=True)] == [True] * 2
    # Neither pages nor the API fail, whatever they answer.
    statuses = {line.split()[1] for line in lines if line.startswith(("API", "PAGE"))}
    assert statuses <= {"200", "302", "401", "403"}
