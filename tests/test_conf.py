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
