import logging
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from geocache import conf


def test_get__without_a_dict_in_the_settings_gives_the_defaults(settings):
    settings.GEOCACHE = {}
    del settings.GEOCACHE
    assert {name: conf.get(name) for name in conf.DEFAULTS} == conf.DEFAULTS


def test_get__what_the_project_says_wins_and_the_rest_stays(settings):
    settings.GEOCACHE = {"TTL_SECONDS": 5, "PUBLIC_LOOKUP": True}
    assert conf.get("TTL_SECONDS") == 5
    assert conf.get("PUBLIC_LOOKUP") is True
    assert conf.get("MEMORY_SIZE") == conf.DEFAULTS["MEMORY_SIZE"]


def test_get__override_settings_works_at_once_and_ends():
    before = conf.get("MEMORY_TTL_SECONDS")
    with override_settings(GEOCACHE={"MEMORY_TTL_SECONDS": before + 1}):
        assert conf.get("MEMORY_TTL_SECONDS") == before + 1
        with override_settings(GEOCACHE={}):
            assert conf.get("MEMORY_TTL_SECONDS") == conf.DEFAULTS["MEMORY_TTL_SECONDS"]
    assert conf.get("MEMORY_TTL_SECONDS") == before


def test_get__never_changes_the_defaults():
    before = dict(conf.DEFAULTS)
    with override_settings(GEOCACHE=dict.fromkeys(conf.DEFAULTS)):
        assert conf.get("TTL_SECONDS") is None
    assert before == conf.DEFAULTS


@pytest.mark.parametrize("name", ["TTL", "ttl_seconds", "GEOCACHE_DATABASES", ""])
def test_get__a_setting_that_does_not_exist_is_refused_by_name(name):
    with (
        override_settings(GEOCACHE={name: 1}),
        pytest.raises(ImproperlyConfigured) as refusal,
    ):
        conf.get("TTL_SECONDS")
    message = str(refusal.value)
    assert message.startswith(f"GEOCACHE has no setting {name}.")
    assert "MEMORY_TTL_SECONDS" in message


def test_get__a_name_that_the_app_does_not_know_is_a_mistake_in_the_app():
    with pytest.raises(KeyError):
        conf.get("NO_SUCH_SETTING")


def test_var_dir__is_what_is_configured_as_text_or_path(settings, tmp_path):
    for given in (tmp_path, str(tmp_path)):
        settings.GEOCACHE = {"VAR_DIR": given}
        assert conf.var_dir() == tmp_path


def test_var_dir__is_below_base_dir_by_default(settings, tmp_path):
    settings.GEOCACHE = {}
    settings.BASE_DIR = str(tmp_path)
    assert conf.var_dir() == tmp_path / "var"


def test_var_dir__without_base_dir_is_below_the_current_folder(settings, tmp_path, monkeypatch):
    settings.GEOCACHE = {}
    del settings.BASE_DIR
    monkeypatch.chdir(tmp_path)
    assert conf.var_dir() == Path(tmp_path) / "var"


def test_caches__are_those_of_the_project():
    assert conf.caches() == django_settings.CACHES


def test_override__counts_before_the_settings_file_and_ends(settings):
    settings.GEOCACHE = {"TTL_SECONDS": 5}
    conf.override({"TTL_SECONDS": 6})
    assert conf.get("TTL_SECONDS") == 6
    assert conf.value_below("TTL_SECONDS") == 5
    conf.override({})
    assert conf.get("TTL_SECONDS") == 5


def test_override__ignores_names_that_do_not_exist():
    conf.override({"NO_SUCH_SETTING": 6})
    with pytest.raises(KeyError):
        conf.get("NO_SUCH_SETTING")


@pytest.mark.parametrize("locked", [["TTL_SECONDS"], ("TTL_SECONDS",), ["*"]])
def test_override__of_a_locked_name_has_no_effect_at_once(settings, locked):
    conf.override({"TTL_SECONDS": 6})
    settings.GEOCACHE = {"LOCKED_SETTINGS": locked}
    assert conf.is_locked("TTL_SECONDS")
    assert conf.get("TTL_SECONDS") == conf.DEFAULTS["TTL_SECONDS"]
    assert conf.source("TTL_SECONDS") == "default"
    settings.GEOCACHE = {"LOCKED_SETTINGS": ["MEMORY_SIZE"]}
    assert not conf.is_locked("TTL_SECONDS")
    assert conf.get("TTL_SECONDS") == 6


def test_override__of_settings_that_cannot_be_used_raises_nothing(settings):
    settings.GEOCACHE = {"NO_SUCH_SETTING": 1}
    conf.override({"TTL_SECONDS": 6})
    with pytest.raises(ImproperlyConfigured):
        conf.get("TTL_SECONDS")


def test_override__of_another_thread_is_not_lost_while_the_settings_are_read(settings, monkeypatch):
    conf.override({"TTL_SECONDS": 6})
    real = conf.is_locked

    def changed_meanwhile(name):
        monkeypatch.setattr(conf, "is_locked", real)
        conf.override({"TTL_SECONDS": 7})
        return real(name)

    settings.GEOCACHE = {}
    monkeypatch.setattr(conf, "is_locked", changed_meanwhile)
    conf.get("TTL_SECONDS")
    assert conf.get("TTL_SECONDS") == 7


@pytest.fixture
def told(monkeypatch):
    """What receivers were told: names, and the value of one of them at that moment."""
    calls = []
    monkeypatch.setattr(conf, "receivers", [])
    conf.on_change(lambda names: calls.append((set(names), conf.get("TTL_SECONDS"))))
    return calls


def test_on_change__is_told_what_has_changed_after_the_switch(told):
    conf.override({"TTL_SECONDS": 6, "MEMORY_SIZE": conf.get("MEMORY_SIZE")})
    conf.override({"TTL_SECONDS": 6})
    conf.override({"MEMORY_SIZE": 3})
    default = conf.DEFAULTS["TTL_SECONDS"]
    assert told == [({"TTL_SECONDS"}, 6), ({"TTL_SECONDS", "MEMORY_SIZE"}, default)]


def test_on_change__is_not_told_of_locked_names(told, settings):
    settings.GEOCACHE = {"LOCKED_SETTINGS": ["TTL_SECONDS"]}
    conf.override({"TTL_SECONDS": 6})
    assert told == []


def test_on_change__a_receiver_that_fails_is_logged_and_stops_no_other(told, caplog):
    def fail(_):
        raise RuntimeError("cannot follow")

    conf.on_change(fail)
    conf.receivers.reverse()
    with caplog.at_level(logging.ERROR, logger="geocache"):
        conf.override({"TTL_SECONDS": 6})
    assert told == [({"TTL_SECONDS"}, 6)]
    assert "geo_setting_receiver_failed" in caplog.text
    assert "cannot follow" in caplog.text


def test_source__is_where_the_value_comes_from(settings, monkeypatch):
    monkeypatch.setenv("MY_TTL", "7")
    monkeypatch.setenv("MY_SIZE", "")
    monkeypatch.delenv("MY_DAYS", raising=False)
    settings.GEOCACHE = {
        "TTL_SECONDS": 7,
        "MEMORY_SIZE": conf.DEFAULTS["MEMORY_SIZE"],
        "HISTORY_DAYS": 7,
        "UPDATE_DAYS": conf.DEFAULTS["UPDATE_DAYS"],
        "ENVIRONMENT_VARIABLES": {
            "TTL_SECONDS": "MY_TTL",
            "MEMORY_SIZE": "MY_SIZE",
            "HISTORY_DAYS": "MY_DAYS",
        },
    }
    conf.override({"IMPORT_HOURS": 1})
    expected = {
        "TTL_SECONDS": "environment",
        "MEMORY_SIZE": "default",
        "HISTORY_DAYS": "settings file",
        "UPDATE_DAYS": "settings file",
        "RETENTION_DAYS": "default",
        "IMPORT_HOURS": "admin",
    }
    assert {name: conf.source(name) for name in expected} == expected


def test_problems__are_those_of_the_settings_file(settings):
    conf.override({"TTL_SECONDS": "long"})
    assert conf.problems() == []
    settings.GEOCACHE = {"TTL_SECONDS": "long"}
    assert conf.problems() == [
        "GEOCACHE[\"TTL_SECONDS\"] is 'long'; it has to be a number from 1 to 315,360,000."
    ]


@pytest.mark.parametrize("languages", [["german"], "de", {"de"}, [None], ["de_DE"], None, 7])
def test_problems__locales_are_codes_of_languages(settings, languages):
    settings.GEOCACHE = {**settings.GEOCACHE, "LOCALES": languages}
    (said,) = conf.problems()
    assert said.endswith('it has to be a list of languages such as "de" or "pt-BR".')


@pytest.mark.parametrize("languages", [[], ["de"], ("pt-br", "zh-Hans", "en")])
def test_problems__locales_may_be_any_languages(settings, languages):
    settings.GEOCACHE = {**settings.GEOCACHE, "LOCALES": languages}
    assert conf.problems() == []
