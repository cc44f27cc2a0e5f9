"""The pages in a frame of their own, and in the template of a project."""

import pytest
from django.core.checks import run_checks
from django.template.loader import get_template

from geocache.models import ImportSource
from geocache.providers import factory
from geocache.providers.base import Source
from geocache.web.frame import BLOCKS
from tests.factories import LONDON, a_row, use_dummy_provider
from tests.support.assertions import assert_is_page, assert_no_inline_code, assert_valid_html
from tests.support.blocklists import imported
from tests.support.processes import ROOT

pytestmark = pytest.mark.django_db

HOST = """{% load static %}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{% block title %}{% endblock %} - Shop</title>
{% block extra_head %}<meta name="shop" content="1">{% endblock %}</head>
<body><header>Shop of {{ request.user }}</header>
<main>{% block content %}{% endblock %}</main><footer>Imprint</footer></body></html>
"""
PAGES = ["/", f"/lookup/?ip={LONDON}", "/addresses/", f"/addresses/{LONDON}/", "/moves/", "/lists/"]


@pytest.fixture(autouse=True)
def content(settings):
    answer = {"country_code": "GB", "city": "London"}
    use_dummy_provider(settings, answers={LONDON: answer})
    a_row()


@pytest.fixture
def templates(settings):
    """Return a function that gives the project templates of its own, and the pages one of them."""

    (given,) = settings.TEMPLATES

    def use(base, is_cached=True, /, **sources):
        files = {f"{name}.html": text for name, text in sources.items()}
        loaders = [
            ("django.template.loaders.locmem.Loader", files),
            ("django.template.loaders.filesystem.Loader", given["DIRS"]),
            "django.template.loaders.app_directories.Loader",
        ]
        if is_cached:
            loaders = [("django.template.loaders.cached.Loader", loaders)]
        # No context processor: the pages need none of the project's.
        options = {"loaders": loaders}
        settings.TEMPLATES = [
            {"BACKEND": given["BACKEND"], "DIRS": [], "APP_DIRS": False, "OPTIONS": options}
        ]
        settings.GEOCACHE = {**settings.GEOCACHE, "BASE_TEMPLATE": base}

    return use


def problems():
    return [one for one in run_checks() if one.id == "geocache.E065"]


@pytest.mark.parametrize("url", PAGES)
def test_page__base_html_of_the_project_is_not_asked(templates, viewer, url):
    templates(None, base="the project's own")
    response = viewer.get(url)
    assert_is_page(response)
    assert "the project's own" not in response.text
    assert "geocache/geocache.css" in response.text
    assert 'class="site-nav"' in response.text


def test_wheel__has_no_template_outside_of_its_own_folder():
    included = (ROOT / "pyproject.toml").read_text().partition("wheel.force-include]\n")[2]
    lines = included.partition("\n\n")[0].splitlines()
    assert lines == ['"templates/geocache" = "geocache/templates/geocache"']


@pytest.mark.parametrize("is_cached", [True, False])
@pytest.mark.parametrize("url", PAGES)
def test_page__in_the_frame_of_the_project(templates, viewer, url, is_cached):
    templates("base.html", is_cached, base=HOST)
    assert problems() == []
    response = viewer.get(url)
    text = response.text
    assert response.status_code == 200
    assert_no_inline_code(assert_valid_html(response))
    assert "Shop of viewer" in text
    assert "Imprint" in text
    assert "· Geocache - Shop</title>" in text
    assert '<meta name="shop"' in text
    assert "geocache/geocache.css" in text.partition("</head>")[0]
    assert text.count("<main") == text.count("<h1") == text.count("<!doctype") == 1
    # What is ours comes along: the way to the other pages, and all of it inside one element.
    inside = text.partition("<main>")[2].partition("</main>")[0].strip()
    assert inside.startswith('<section class="geocache is-hosted" aria-label="Geocache">')
    assert inside.endswith("</section>")
    assert 'href="/addresses/"' in inside
    # Logging in and out is the project's.
    assert "Log out" not in text


def test_page__in_the_frame_has_the_attribution(templates, viewer, monkeypatch):
    source = Source(name="Some City", built_at=None, attribution="By Some https://some.example")
    monkeypatch.setattr(type(factory.current()), "sources", lambda _: [source])
    for base in (None, "base.html"):
        templates(base, base=HOST)
        for url in PAGES:
            assert viewer.get(url).text.count("By Some") == 1, (base, url)


def test_page__stands_in_a_template_of_several_levels(templates, viewer):
    templates(
        "section.html",
        base="<html><head><title>{% block title %}{% endblock %}</title>"
        "{% block extra_head %}{% endblock %}</head><body>{% block body %}{% endblock %}</body>",
        middle="{% extends 'base.html' %}{% block body %}<nav>middle</nav>"
        "{% block main %}{% endblock %}{% endblock %}",
        section="{% extends 'middle.html' %}{% block main %}<main>{% block content %}{% endblock %}"
        "</main>{% endblock %}",
    )
    assert problems() == []
    text = viewer.get("/addresses/").text
    assert "<nav>middle</nav>" in text
    assert 'class="geocache is-hosted"' in text


def test_page__adapter_of_three_lines_renames_blocks(templates, viewer):
    templates(
        "geo.html",
        base="<title>{% block page_title %}{% endblock %}</title>{% block head %}{% endblock %}"
        "<main>{% block main %}{% endblock %}</main>",
        geo="{% extends 'base.html' %}"
        "{% block page_title %}{% block title %}{% endblock %}{% endblock %}"
        "{% block head %}{% block extra_head %}{% endblock %}{% endblock %}"
        "{% block main %}{% block content %}{% endblock %}{% endblock %}",
    )
    assert problems() == []
    assert "<title>Addresses · Geocache</title>" in viewer.get("/addresses/").text


WHOLE = "".join(f"{{% block {name} %}}{{% endblock %}}" for name in BLOCKS)


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ({}, "there is no Django template host.html"),
        ({"host": "{% extends 'gone.html' %}"}, "host.html extends gone.html, which is not there"),
        # From Django 6.1 on, its message begins with the name of the template.
        ({"host": "{% nonsense %}"}, "Invalid block tag on line 1: 'nonsense'"),
        ({"host": "<p>"}, "does not show the block title, extra_head, content"),
        ({"host": WHOLE.replace("extra_head", "head")}, "does not show the block extra_head"),
        ({"host": "{% extends 'geocache/base.html' %}"}, "which extends host.html"),
        (
            {"host": "{% extends 'a.html' %}", "a": "{% extends 'geocache/base.html' %}"},
            "host.html extends geocache/base.html",
        ),
        # A block that the one below does not have is never shown.
        (
            {"host": "{% extends 'a.html' %}" + WHOLE, "a": "{% block title %}{% endblock %}"},
            "does not show the block extra_head, content",
        ),
        # One that is inside of what is replaced is not shown either.
        (
            {
                "host": "{% extends 'a.html' %}{% block body %}{% endblock %}",
                "a": "{% block body %}" + WHOLE + "{% endblock %}",
            },
            "does not show the block title, extra_head, content",
        ),
    ],
)
def test_check__says_what_the_template_lacks(templates, sources, said):
    templates("host.html", **sources)
    (problem,) = problems()
    assert said in problem.msg
    assert "\n" not in problem.msg
    assert "docs/integration.md" in problem.hint


@pytest.mark.parametrize(
    "sources",
    [
        {
            "host": "{% extends 'a.html' %}{% block body %}{{ block.super }}{% endblock %}",
            "a": "{% block body %}" + WHOLE + "{% endblock %}",
        },
        {"host": "{% if request %}{% with a=1 %}" + WHOLE + "{% endwith %}{% endif %}"},
        # Only a request tells.
        {"host": "{% extends layout %}"},
        {"host": "{% extends layout|default:'a.html' %}"},
    ],
)
def test_check__is_silent_about_what_may_be_right(templates, sources):
    templates("host.html", **sources)
    assert problems() == []


def test_check__a_folder_is_not_a_template(settings, tmp_path):
    (tmp_path / "shop").mkdir()
    (given,) = settings.TEMPLATES
    settings.TEMPLATES = [{**given, "DIRS": [tmp_path, *given["DIRS"]]}]
    settings.GEOCACHE = {**settings.GEOCACHE, "BASE_TEMPLATE": "shop"}
    (problem,) = problems()
    assert "the template shop cannot be read: Is a directory" in problem.msg


def test_page__empty_name_is_the_own_frame(settings, viewer):
    settings.GEOCACHE = {**settings.GEOCACHE, "BASE_TEMPLATE": ""}
    assert problems() == []
    assert_is_page(viewer.get("/"))


@pytest.mark.parametrize("base", [None, "host.html"])
def test_page__shows_nothing_that_is_not_there(settings, superuser, tmp_path, base):
    (tmp_path / "host.html").write_text(HOST)
    (given,) = settings.TEMPLATES
    options = {**given["OPTIONS"], "string_if_invalid": "INVALID %s"}
    settings.TEMPLATES = [{**given, "DIRS": [tmp_path, *given["DIRS"]], "OPTIONS": options}]
    settings.GEOCACHE = {**settings.GEOCACHE, "BASE_TEMPLATE": base}
    imported(LONDON, "2.125.160.216")
    source = ImportSource.objects.get()
    for url in (*PAGES, "/addresses/9.9.9.9/", f"/lists/{source.pk}/"):
        assert "INVALID" not in superuser.get(url).text, url


def test_check__wants_a_name(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "BASE_TEMPLATE": ["base.html"]}
    (problem,) = [one for one in run_checks() if one.id == "geocache.E003"]
    assert "BASE_TEMPLATE" in problem.msg


def test_import_now__without_the_app_of_messages(settings, superuser):
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if "messages" not in one]
    source = ImportSource.objects.create(name="test")
    assert superuser.post(f"/lists/{source.pk}/import/").status_code == 302


def test_own_frame__is_not_one_of_the_project(templates):
    templates(None, base=HOST)
    assert get_template("geocache/frame.html").render()
