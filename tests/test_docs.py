"""The examples of docs/integration.md, signals.md and testing.md, run as they stand there."""

import io
import json
import logging
import logging.config
import re
import sys
import types
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
import structlog
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.contrib.auth.signals import user_logged_in
from django.core.checks import run_checks
from django.core.management import call_command
from django.template import Context, Template
from django.test import AsyncRequestFactory
from django.test.utils import isolate_apps
from django.utils import translation
from django.utils.module_loading import import_string
from gunicorn.config import Config
from gunicorn.glogging import Logger as GunicornLogger

from geocache import client_ip
from geocache.checks import order_problem
from geocache.edge.networks import WHOLE, network_of
from geocache.edge.said import MODES
from geocache.edge.values import READERS
from geocache.journal.flush import flush_dirty
from geocache.journal.recorder import record
from geocache.lookup import lookup
from geocache.middleware import GeoMiddleware
from geocache.mounts import api_url, page_url
from geocache.signals import location_changed
from tests import visits
from tests.factories import LONDON, NOON, a_location, a_row, a_viewer
from tests.support.host_project import PYTEST, HostProject
from tests.visits.models import Login, Visit

pytestmark = pytest.mark.django_db
DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "integration.md").read_text()
TESTING = (DOCS / "testing.md").read_text()
SIGNALS = (DOCS / "signals.md").read_text()
PARIS = "2.0.0.1"
ANSWER = {"country_code": "GB", "city": "London", "organization": "Test <Networks>"}


def examples(heading, language, page=PAGE):
    """Return the blocks of code in one language below a heading."""
    section = re.split(r"^## ", page.partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def run(code):
    names = {"__name__": "visits.example"}
    exec(compile(code, "docs", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def site(override_locations, monkeypatch):
    override_locations({LONDON: ANSWER, PARIS: {"country_code": "FR"}})
    monkeypatch.setitem(sys.modules, "visits", visits)
    monkeypatch.setitem(sys.modules, "visits.models", sys.modules[Visit.__module__])


def test_docs__every_example_is_run_here():
    blocks = re.findall(r"^```(\w+)$", PAGE, re.MULTILINE)
    assert (blocks.count("python"), blocks.count("django")) == (23, 3)
    assert blocks.count("console") == 1
    assert blocks.count("vcl") == 1
    assert len(blocks) == 28
    assert re.findall(r"^```(\w+)$", SIGNALS, re.MULTILINE) == ["python"] * 3


def test_docs__middleware_and_views(rf):
    settings_code, views_code = examples("`request.geo`", "python")
    middleware = import_string(run(settings_code)["MIDDLEWARE"][-1])
    views = run(views_code)

    welcome = middleware(views["welcome"])
    assert welcome(rf.get("/", REMOTE_ADDR=LONDON)).text == "Hello from London!"
    assert welcome(rf.get("/", REMOTE_ADDR="10.0.0.1")).text == "Hello!"

    awelcome = middleware(views["awelcome"])
    request = AsyncRequestFactory().get("/")
    request.META["REMOTE_ADDR"] = LONDON
    assert async_to_sync(awelcome)(request).text == "Hello, GB!"


def test_docs__typed_request(rf):
    (code,) = examples("A typed request", "python")
    city = GeoMiddleware(run(code)["city"])
    assert city(rf.get("/", REMOTE_ADDR=LONDON)).text == "London"


def test_docs__asynchronous_code(override_locations):
    places = {LONDON: {"latitude": 51.5074, "longitude": -0.1278}, "9.9.9.9": {}}
    places["9.9.9.9"] |= {"latitude": 48.8566, "longitude": 2.3522}
    override_locations(places)
    (code,) = examples("Asynchronous code", "python")
    response = async_to_sync(run(code)["two_places"])(AsyncRequestFactory().get("/"))
    said = json.loads(response.content)
    assert (round(said["km"]), said["known"]) == (344, 2)


def test_docs__what_an_answer_tells(override_locations):
    places = {
        LONDON: ANSWER | {"latitude": 51.5074, "longitude": -0.1278, "time_zone": "Europe/London"},
        "81.2.69.160": {"latitude": 48.8566, "longitude": 2.3522},
    }
    override_locations(places)
    (code,) = examples("What an answer tells", "python")
    names = run(code)
    place = names["place"]
    for line in code.splitlines():
        expression, _, said = line.partition("  # ")
        if said.startswith(('"', "ZoneInfo")):
            expected = eval(re.match(r'"[^"]*"(, "[^"]*")*|ZoneInfo\(.*\)', said)[0])
            assert isinstance(expected, str | tuple | ZoneInfo)
            assert eval(expression, names) == expected
    assert round(place.distance_km(names["lookup"]("81.2.69.160")), 1) == 343.6
    assert place.to_geojson()["type"] == "Feature"
    assert place.to_plain()["city"] == "London"


@isolate_apps("tests.visits")
def test_docs__located_model():
    code, bulk = examples("Country and location kept with an object", "python")
    comment = run(code)["Comment"]
    assert comment.check() == []
    assert [one.country_code for one in run(bulk)["keep"]([LONDON, None])] == ["GB", ""]


def test_docs__commands():
    Login.objects.bulk_create([Login(ip=LONDON)])
    section = "Country and location kept with an object"
    (commands,) = examples(section, "console")
    for line in commands.splitlines():
        call_command(*line.partition("manage.py ")[2].split(), stdout=io.StringIO())
    assert Login.objects.get().country_code == "GB"


def test_docs__time_zone_middleware():
    (code,) = examples("The visitor's time zone", "python")
    names = [one for one in run(code)["MIDDLEWARE"] if one is not ...]
    assert order_problem(names) == ""
    for name in names:
        assert import_string(name)


@pytest.fixture
def logging_as_before():
    names = ["", "gunicorn.access", "gunicorn.error"]
    loggers = [logging.getLogger(name) for name in names]
    before = [(one.handlers[:], one.level, one.propagate) for one in loggers]
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.usefixtures("logging_as_before")
def test_docs__log_lines(capsys):
    settings_code, code, _, _ = examples("Log lines", "python")
    logging.config.dictConfig(run(settings_code)["LOGGING"])
    lookup(LONDON)
    run(code.replace("81.2.69.142", LONDON))
    logging.getLogger("visits").info("started")
    assert capsys.readouterr().err.splitlines() == [
        "log-in refused GB AS- Test <Networks>",
        "started - AS- -",
    ]


@pytest.mark.usefixtures("logging_as_before")
def test_docs__log_lines_of_structlog(caplog):
    _, _, code, _ = examples("Log lines", "python")
    run(code)
    lookup(LONDON)
    with caplog.at_level(logging.INFO, "visits"):
        structlog.get_logger("visits").info("log-in refused", ip=LONDON)
    (line,) = caplog.messages
    assert json.loads(line)["country"] == "GB"


@pytest.mark.usefixtures("logging_as_before")
def test_docs__log_lines_of_gunicorn(capsys):
    *_, code = examples("Log lines", "python")
    cfg = Config()
    cfg.set("logconfig_dict", run(code)["logconfig_dict"])
    atoms = gunicorn_atoms(remote=LONDON)
    log = GunicornLogger(cfg)
    lookup(LONDON)
    log.access_log.info('%(h)s "%(r)s"', atoms)
    assert capsys.readouterr().out == f'{LONDON} "GET /" GB AS-\n'


def gunicorn_atoms(remote):
    return GunicornLogger.atoms_wrapper_class({"h": remote, "r": "GET /"})


def test_docs__trusted_proxies():
    for code in examples("Whose request", "python")[:2]:
        geocache = run(code)["GEOCACHE"]
        assert len(client_ip.networks(tuple(geocache["TRUSTED_PROXIES"]))) == 2
    assert client_ip.hops_of(geocache["CLIENT_IP_HEADER"])


def test_docs__headers_of_the_edge():
    heading = "Where the edge says a visitor is"
    for code in examples(heading, "python"):
        geocache = run(code)["GEOCACHE"]
        assert client_ip.networks(tuple(geocache["TRUSTED_PROXIES"]))
        assert network_of(geocache["EDGE_HEADERS"]).headers
        assert geocache.get("EDGE_MODE", "merge") in MODES
        assert set(geocache.get("EDGE_PROXIES", ())) <= set(geocache["TRUSTED_PROXIES"])
    (vcl,) = examples(heading, "vcl")
    assert re.findall(r"req\.http\.(\S+) =", vcl) == [*geocache["EDGE_HEADERS"].values()]
    section = PAGE.partition(f"## {heading}")[2]
    assert all(f"| `{name}` |" in section for name in (*WHOLE, *MODES))
    assert all(f"`{field}`" in section for field in READERS)


def test_docs__visitor_address(rf, settings, monkeypatch):
    *_, settings_code, code = examples("Whose request", "python")
    path = run(settings_code)["GEOCACHE"]["VISITOR_ADDRESS"]
    module = types.ModuleType("mysite.visitors")
    vars(module).update(run(code))
    monkeypatch.setitem(sys.modules, "mysite.visitors", module)
    settings.GEOCACHE = {**settings.GEOCACHE, "VISITOR_ADDRESS": path}
    named = {"REMOTE_ADDR": "8.8.8.8", "HTTP_CF_CONNECTING_IP": LONDON}
    assert client_ip.address_of(rf.get("/", HTTP_X_FRONT_SECRET="made-up", **named)) == LONDON
    assert client_ip.address_of(rf.get("/", **named)) == "8.8.8.8"


def test_docs__receiver(caplog):
    settings_code, code = examples("Connect a receiver", "python", SIGNALS)
    assert run(settings_code)["VisitsConfig"].name == "visits"
    receiver = run(code)["log_moves"]
    a_row(country_code="FR")
    record([a_location(resolved_at=NOON + timedelta(days=1))])
    with caplog.at_level(logging.INFO, "visits.example"):
        flush_dirty()
    assert location_changed.disconnect(receiver)
    assert f"{LONDON} is in GB now" in caplog.messages


def test_docs__new_country_at_log_in(rf, mailoutbox):
    (code,) = examples("New country at log-in", "python", SIGNALS)
    receiver = run(code)["warn_of_new_country"]
    user = a_viewer()
    user.email = "viewer@example.org"
    # A private address, the first country, the same again, and another one.
    for address in ["10.0.0.1", LONDON, LONDON, PARIS, LONDON]:
        user_logged_in.send(type(user), request=rf.get("/", REMOTE_ADDR=address), user=user)
    assert user_logged_in.disconnect(receiver)
    assert [one.body for one in mailoutbox] == ["You have logged in from FR."]
    assert Visit.objects.count() == 4


def test_docs__template(rf):
    (code,) = examples("Templates", "django")
    request = rf.get("/", REMOTE_ADDR=LONDON)
    GeoMiddleware(lambda _: None)(request)
    shown = Template(code).render(Context({"request": request, "visit": Visit(ip=LONDON)}))
    assert shown.count("<p>🇬🇧 United Kingdom</p>") == 2
    assert "<p>London, Test &lt;Networks&gt;</p>" in shown


def test_docs__page_of_rows(rf, django_assert_num_queries):
    Visit.objects.bulk_create([Visit(ip=LONDON), Visit(ip=None), Visit(ip="10.0.0.1")])
    (python,), (template,) = (
        examples("A page of rows", "python"),
        examples("A page of rows", "django"),
    )
    views = run(python)
    views["render"] = lambda _, __, context: Template(template).render(Context(context))
    with django_assert_num_queries(1):
        shown = views["recent"](rf.get("/"))
    assert f"{LONDON} 🇬🇧 London" in shown
    assert "<p>?" in shown


def test_docs__admin(rf):
    (code,) = examples("The admin", "python")
    try:
        made = run(code)["VisitAdmin"](Visit, admin.site)
        columns = made.get_list_display(rf.get("/"))
    finally:
        admin.site.unregister(Visit)
    assert [getattr(one, "__name__", one) for one in columns] == [
        "at",
        "ip",
        "country",
        "operator",
        "page",
    ]


@pytest.mark.slow
@pytest.mark.any_services
def test_docs__tests_of_a_host(tmp_path):
    host = HostProject(tmp_path)
    counts = []
    for heading in ("With unittest", "With pytest"):
        blocks = examples(heading, "python", TESTING)
        counts.append(len(blocks))
        for number, block in enumerate(blocks):
            (tmp_path / f"mysite/{heading[5:]}_{number}.py").write_text(block)
    assert counts == [3, 2]
    assert TESTING.count("```python") == sum(counts) + 1
    assert "Ran 7 tests" in host.run("manage.py", "test", "mysite", "--pattern", "unittest_*.py")
    assert "4 passed" in host.run(*PYTEST, "mysite/pytest_0.py", "mysite/pytest_1.py")


def test_docs__pages(settings):
    settings.ROOT_URLCONF = ModuleType("documented_urls")
    for code, language, api in [
        (examples("The pages", "python")[0], "", "/geo/api/lookup/1.1.1.1"),
        (examples("The pages", "python")[1], "/de", "/geo/api/lookup/1.1.1.1"),
    ]:
        settings.ROOT_URLCONF = ModuleType("documented_urls")
        settings.ROOT_URLCONF.urlpatterns = run(code)["urlpatterns"]
        with translation.override("de"):
            assert page_url("lookup") == f"{language}/geo/lookup/"
            assert api_url("api-lookup", address="1.1.1.1") == api


def test_docs__frame_of_the_site(settings, viewer):
    code, (template,) = examples("The pages", "python")[2], examples("The pages", "django")
    base = (
        "<title>{% block page_title %}{% endblock %}</title>{% block styles %}{% endblock %}"
        "<body>Shop<main>{% block main %}{% endblock %}</main>"
    )
    files = {"shop/base.html": base, "shop/geo.html": template}
    (given,) = settings.TEMPLATES
    loaders = [
        ("django.template.loaders.locmem.Loader", files),
        ("django.template.loaders.filesystem.Loader", given["DIRS"]),
    ]
    options = {**given["OPTIONS"], "loaders": loaders}
    settings.TEMPLATES = [{**given, "APP_DIRS": False, "OPTIONS": options}]
    settings.GEOCACHE = {**settings.GEOCACHE, **run(code)["GEOCACHE"]}
    assert not [one for one in run_checks() if one.id == "geocache.E065"]
    page = viewer.get("/addresses/").text
    assert "<title>Addresses · Geocache</title>" in page
    assert "geocache/geocache.css" in page.partition("<body>")[0]
    assert '<section class="geocache is-hosted"' in page.partition("<main>")[2]
