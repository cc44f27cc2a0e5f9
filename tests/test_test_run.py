"""A run of tests has a cache and a folder of its own, unless a test itself names others."""

import os
import sys

import pytest
from django.conf import settings as site_settings
from django.test import utils

from geocache import conf, test_run
from geocache.cache import backends
from geocache.cache.embedded import EmbeddedCache

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.fixture
def another_process(monkeypatch):
    """As if neither pytest nor Django's tests were here."""
    monkeypatch.setattr(test_run, "_has_begun", False)
    monkeypatch.delitem(sys.modules, test_run.PYTEST_PLUGIN, raising=False)
    monkeypatch.delattr(utils._TestState, "saved_data")
    return monkeypatch


@pytest.mark.usefixtures("another_process")
def test_has_begun__not_on_the_site():
    assert not test_run.has_begun()


def test_has_begun__with_the_plugin(another_process):
    another_process.setitem(sys.modules, test_run.PYTEST_PLUGIN, test_run)
    assert test_run.has_begun()


def test_has_begun__since_django_has_set_up_tests(another_process):
    another_process.setattr(utils._TestState, "saved_data", object(), raising=False)
    assert test_run.has_begun()
    # What waits when its tests have ended is not written to the site.
    another_process.delattr(utils._TestState, "saved_data")
    assert test_run.has_begun()


def test_folder__is_of_the_owner_alone_and_goes_with_the_process(tmp_path):
    folder = test_run.folder()
    assert folder == test_run.folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "any").touch()
    test_run._remove(tmp_path, os.getpid() + 1)
    assert tmp_path.exists()
    test_run._remove(tmp_path, os.getpid())
    assert not tmp_path.exists()


def test_var_dir__is_not_that_of_the_site(another_process):
    assert conf.var_dir() == conf.site_var_dir()
    another_process.setattr(test_run, "_has_begun", True)
    assert conf.var_dir() == test_run.folder()
    assert conf.site_var_dir() == site_settings.GEOCACHE["VAR_DIR"]


@pytest.mark.parametrize("changed", ["GEOCACHE", "BASE_DIR"])
def test_var_dir__is_the_one_that_a_test_names(settings, tmp_path, changed):
    settings.GEOCACHE = {"VAR_DIR": tmp_path / "var" if changed == "GEOCACHE" else None}
    settings.BASE_DIR = tmp_path if changed == "BASE_DIR" else settings.BASE_DIR
    assert conf.var_dir() == conf.site_var_dir() == tmp_path / "var"


def test_cache__is_not_that_of_the_site(settings, another_process):
    settings.CACHES = {**conf._settings_of_site().CACHES, "other": LOCMEM}
    of_site = backends.current()
    another_process.setattr(test_run, "_has_begun", True)
    of_tests = backends.current()
    assert isinstance(of_tests, EmbeddedCache)
    assert of_tests.path.parent == test_run.folder() / "cache"
    assert of_site is not of_tests


def test_cache__is_the_one_that_a_test_names(settings):
    settings.CACHES = {**settings.CACHES, "geocache": LOCMEM}
    assert conf.names_cache()
    assert not isinstance(backends.current(), EmbeddedCache)


def test_settings_of_site__without_a_module():
    holder = type(site_settings)()
    holder.configure(CACHES={"default": LOCMEM})
    assert conf._settings_of_site(holder).CACHES == {"default": LOCMEM}
