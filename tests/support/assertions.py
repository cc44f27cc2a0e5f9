"""Assertions about pages that many tests share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import html5lib
from django.db import connection
from django.test.utils import CaptureQueriesContext

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "ALTER", "DROP")


def assert_valid_html(response: Any) -> Any:
    """Parse as a browser does, and return the tree; any error, or an id used twice, fails."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    tree = parser.parse(response.content.decode())
    errors = [
        f"{position}: {html5lib.constants.E[name] % details}"
        for position, name, details in parser.errors
    ]
    assert not errors, errors
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids)), sorted(ids)
    return tree


def assert_no_inline_code(tree: Any) -> None:
    """Check for inline styles, scripts and handlers, which the security policy forbids."""
    for element in tree.iter():
        assert element.tag != "style"
        assert element.tag != "script" or (element.get("src") and not element.text)
        inline = [name for name in element.attrib if name == "style" or name.startswith("on")]
        assert not inline, (element.tag, inline)


def assert_is_page(response: Any, status: int = 200) -> None:
    """Check status, HTML, title, skip link, and that nothing is inline."""
    assert response.status_code == status, response.status_code
    assert_no_inline_code(assert_valid_html(response))
    text = response.content.decode()
    assert "· Geocache</title>" in text
    assert 'class="skip-link" href="#main"' in text
    assert text.count("<main") == text.count("<h1") == 1


@contextmanager
def no_database_write(*, max_queries: int) -> Iterator[CaptureQueriesContext]:
    """Allow at most ``max_queries`` queries, and no write."""
    with CaptureQueriesContext(connection) as queries:
        yield queries
    asked = [query["sql"] for query in queries.captured_queries]
    writes = [sql for sql in asked if sql.lstrip("( ").upper().startswith(WRITES)]
    assert not writes, writes
    # A test runs in a transaction, which turns inner ones into savepoints.
    counted = [sql for sql in asked if "SAVEPOINT" not in sql]
    assert len(counted) <= max_queries, counted
