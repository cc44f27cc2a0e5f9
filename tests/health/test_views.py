import asyncio
from typing import Any

import pytest
from django.test import AsyncClient, Client
from django.urls import include, path

from geocache import status
from geocache.health import parts, report
from geocache.health.findings import find
from geocache.instants import utc_now
from geocache.models import RejectedEntry
from geocache.status import DATABASE, UNMIGRATED, Status
from tests.factories import a_stranger, an_admin, use_dummy_provider
from tests.support.assertions import no_database_write

pytestmark = pytest.mark.django_db
LIVE, READY = "/health/live", "/health/ready"
TOKEN = "a-token-of-some-length"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}

# A project that includes the probes alone.
urlpatterns = [path("", include("geocache.health.urls"))]


@pytest.fixture(autouse=True)
def provider(settings: Any) -> None:
    use_dummy_provider(settings)
    settings.GEOCACHE = {**settings.GEOCACHE, "METRICS_TOKEN": TOKEN}


def use_status(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setattr(parts, "read", lambda: Status(**fields))


@pytest.mark.parametrize("url", [LIVE, f"{LIVE}/"])
def test_live__asks_nothing(client: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "read", None)
    with no_database_write(max_queries=0):
        response = client.get(url)
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


@pytest.mark.parametrize("url", [LIVE, READY, f"{LIVE}/", f"{READY}/"])
def test_probes__answer_head_and_are_never_kept(client: Client, url: str) -> None:
    response = client.head(url)
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["Content-Length"]) > 10
    assert "no-store" in response.headers["Cache-Control"]
    assert not response.cookies


@pytest.mark.parametrize("url", [LIVE, READY])
def test_probes__only_read(client: Client, url: str) -> None:
    assert client.post(url).status_code == 405


@pytest.mark.urls("tests.health.test_views")
@pytest.mark.parametrize("url", [LIVE, READY])
def test_probes__are_included_alone(client: Client, url: str) -> None:
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("url", [LIVE, READY])
def test_probes__need_no_log_in_where_all_else_does(
    client: Client, settings: Any, url: str
) -> None:
    required = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, required]
    assert client.get(url).status_code == 200


def test_ready__tells_a_stranger_names_and_levels_only(client: Client) -> None:
    RejectedEntry.objects.create(record="?", error="?")
    with no_database_write(max_queries=10):
        body = client.get(READY).json()
    assert body.keys() == {"status", "level", "parts"}
    assert (body["status"], body["level"]) == ("ready", "warning")
    levels = {part: one.pop("level") for part, one in body["parts"].items()}
    assert levels == dict.fromkeys(report.PARTS, "ok") | {"rejected": "warning"}
    assert not any(body["parts"].values())


def test_ready__tells_a_program_with_the_token_all(client: Client) -> None:
    RejectedEntry.objects.create(record="?", error="?")
    body = client.get(READY, headers=WITH_TOKEN).json()
    (finding,) = body["findings"]
    assert finding["page"] == "docs/troubleshooting.md#rejected-entries"
    assert finding["text"].startswith("The database has refused 1 answer.")
    assert body["state"]["rejected"] == 1
    assert body["at"]


@pytest.mark.parametrize(("who", "sees_all"), [(an_admin, True), (a_stranger, False)])
def test_ready__tells_users_who_may_see_addresses(client: Client, who: Any, sees_all: bool) -> None:
    client.force_login(who())
    assert ("state" in client.get(READY).json()) is sees_all


def test_ready__is_in_english(client: Client) -> None:
    RejectedEntry.objects.create(record="?", error="?")
    headers = {**WITH_TOKEN, "Accept-Language": "de"}
    assert "refused" in client.get(READY, headers=headers).json()["findings"][0]["text"]


@pytest.mark.parametrize("error", ["the database cannot be reached: x", UNMIGRATED])
def test_ready__without_the_database_asks_for_no_user(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    client.force_login(an_admin())
    use_status(monkeypatch, errors={DATABASE: error}, is_journal_possible=True)
    with no_database_write(max_queries=0):
        body = client.get(READY).json()
    assert body.keys() == {"status", "level", "parts"}
    assert body["parts"]["database"] == {"level": "critical"}
    assert body["parts"]["flush"] == {"level": "unknown"}


def test_ready__a_session_that_cannot_be_read_is_a_stranger(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no sessions")

    monkeypatch.setattr("geocache.monitoring_access.has_permission", fail)
    assert "state" not in client.get(READY).json()


AWAY = "the database cannot be reached: refused"
SILENT = "no answer within 120 ms"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 200),
        # The cache takes what is new, and a flush will find it.
        ({"errors": {DATABASE: AWAY}}, 200),
        ({"errors": {DATABASE: SILENT}, "silent_parts": frozenset([DATABASE])}, 200),
        # What is new is written to the database at once.
        ({"is_journal_possible": None}, 200),
        ({"is_journal_possible": False}, 200),
        ({"errors": {"cache": SILENT}, "silent_parts": frozenset(["cache"])}, 200),
        # Neither keeps what is new.
        ({"errors": {DATABASE: AWAY}, "is_journal_possible": None}, 503),
        ({"errors": {DATABASE: AWAY}, "is_journal_possible": False}, 503),
        (
            {
                "errors": {DATABASE: SILENT, "cache": SILENT},
                "silent_parts": frozenset([DATABASE, "cache"]),
            },
            503,
        ),
        ({"errors": {DATABASE: UNMIGRATED}}, 503),
        ({"errors": {"provider": "no file"}}, 503),
        # It may only be slow; what is known is answered.
        ({"errors": {"provider": SILENT}, "silent_parts": frozenset(["provider"])}, 200),
        ({"pending_count": 10_000_000}, 200),
    ],
)
def test_ready__is_503_only_where_this_process_cannot_serve(
    client: Client, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], code: int
) -> None:
    use_status(monkeypatch, **{"cache_backend": "x", "is_journal_possible": True, **fields})
    response = client.get(READY)
    assert response.status_code == code
    assert response.json()["status"] == ("ready" if code == 200 else "not ready")


def test_ready__is_no_error_in_the_log_at_each_probe(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_status(monkeypatch, errors={DATABASE: UNMIGRATED})
    assert client.get(READY).status_code == 503
    assert not caplog.records


def test_ready__a_part_that_only_a_judge_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from geocache.health import finding, findings  # noqa: PLC0415 - beside what is replaced

    def judge(*_: object) -> list[finding.Finding]:
        return [finding.critical("licence", "licence-outdated", "Too old.")]

    monkeypatch.setattr(findings, "JUDGES", (*findings.JUDGES, judge))
    state = Status(cache_backend="x", is_journal_possible=True)
    told = report.for_strangers(state, find(state, utc_now()))
    assert told["parts"]["licence"] == {"level": "critical"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", [LIVE, READY])
def test_probes__under_asgi(url: str) -> None:
    async def ask() -> Any:
        return await AsyncClient().get(url)

    assert asyncio.run(ask()).status_code == 200


def test_report_parts__are_read_by_a_probe() -> None:
    known = {name for name, _ in (*status.UNSTORED_PARTS, *status.STORED_PARTS)}
    assert set(report.PARTS.values()) <= {DATABASE, *known}
