"""Keys to the API."""

import secrets
from hashlib import sha256
from typing import Any, ClassVar, Final

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from geocache import conf
from geocache.instants import InstantField

# How every token begins, so that a scanner for secrets recognises one that was published.
TOKEN_PREFIX: Final = "geocache_"  # noqa: S105 - not a token


class ApiToken(models.Model):
    """A key to the API for a program of one user; revoked by deleting it.

    Only the digest of the token is kept. It needs no salt and no slow hash, as the token is 256
    random bits; and it is found through an index, so that no comparison tells by its time how much
    of a guess is right.
    """

    user = models.ForeignKey(conf.user_model(), models.CASCADE, verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=100, help_text=_("What it is for."))
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = InstantField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def set_token(self) -> str:
        """Give it a new token, and return that; it can never be read again."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self.digest = _digest(token)
        return token

    @classmethod
    def holder_of(cls, token: str) -> Any:
        """Return the user who holds ``token``, or None unless that is an active one."""
        found = cls.objects.select_related("user").filter(digest=_digest(token)).first()
        # In Python: a project's model of users need not have a column for it.
        return found.user if found and found.user.is_active else None


def _digest(token: str) -> str:
    # Whatever bytes a header held: they are no token, and no error.
    return sha256(token.encode(errors="surrogateescape")).hexdigest()
