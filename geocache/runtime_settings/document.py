"""What the admin has changed, as one short-lived document in the cache."""

from typing import Any, Final

from geocache.cache.documents import Document
from geocache.models.connection import database_id

SECONDS: Final = 4
# The key begins so, then has the id of the database: sites may share a cache.
KEYS: Final = "s:"

_document: Final = Document[dict[str, Any]](
    dict[str, Any], key=lambda: f"{KEYS}{database_id()}", seconds=lambda: SECONDS
)
read: Final = _document.read
replace: Final = _document.replace
offer: Final = _document.offer
