"""A run of tests has a cache and a folder of its own, unless a test itself names others."""

import os
import sys

import pytest
from django.conf import settings as site_settings
from django.test.utils import setup_test_environment, teardown_test_environment

from geocache import conf, under_test
from geocache.cache import backends
from geocache.cache.embedded import EmbeddedCache

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.fixture
def another_process(monkeypatch):
    """As if neither pytest nor Django's tests were here."""
    monkeypatch.setattr(under_test, "is_known", False)
    monkeypatch.delitem(sys.modules, under_test.PYTEST_PLUGIN, raising=False)
    teardown_test_environment()
    yield monkeypatch
    setup_test_environment(debug=False)


@pytest.mark.usefixtures("another_process")
def test_is_this_process__not_on_the_site():
    assert not under_test.is_this_process()


def test_is_this_process__with_the_plugin(another_process):
    another_process.setitem(sys.modules, under_test.PYTEST_PLUGIN, under_test)
    assert under_test.is_this_process()


@pytest.mark.usefixtures("another_process")
def test_is_this_process__since_django_has_set_up_tests():
    setup_test_environment()
    try:
        assert under_test.is_this_process()
    finally:
        teardown_test_environment()
    # What waits when its tests have ended is not written to the site.
    assert under_test.is_this_process()


def test_folder__is_of_the_owner_alone():
    folder = under_test.folder()
    assert folder == under_test.folder()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_remove_folders__leaves_those_of_a_parent(monkeypatch, tmp_path):
    mine, of_parent = tmp_path / "mine", tmp_path / "parent"
    for folder in (mine, of_parent):
        (folder / "cache").mkdir(parents=True)
    folders = [(os.getpid(), mine), (os.getppid(), of_parent)]
    monkeypatch.setattr(under_test, "made_folders", folders)
    under_test.remove_folders()
    assert list(tmp_path.iterdir()) == [of_parent]


def test_var_dir__is_not_that_of_the_site(another_process):
    assert conf.var_dir() == conf.site_var_dir()
    another_process.setattr(under_test, "is_known", True)
    assert conf.var_dir() == under_test.folder()
    assert conf.site_var_dir() == site_settings.GEOCACHE["VAR_DIR"]


@pytest.mark.parametrize("changed", ["GEOCACHE", "BASE_DIR"])
def test_var_dir__is_the_one_that_a_test_names(settings, tmp_path, changed):
    settings.GEOCACHE = {"VAR_DIR": tmp_path / "var" if changed == "GEOCACHE" else None}
    settings.BASE_DIR = tmp_path if changed == "BASE_DIR" else settings.BASE_DIR
    assert conf.var_dir() == conf.site_var_dir() == tmp_path / "var"


def test_cache__is_not_that_of_the_site(settings, another_process):
    settings.CACHES = {**conf.settings_of_site().CACHES, "other": LOCMEM}
    of_site = backends.current()
    another_process.setattr(under_test, "is_known", True)
    of_tests = backends.current()
    assert isinstance(of_tests, EmbeddedCache)
    assert of_tests.path.parent == under_test.folder() / "cache"
    assert of_site is not of_tests


def test_cache__is_the_one_that_a_test_names(settings):
    settings.CACHES = {**settings.CACHES, "geocache": LOCMEM}
    assert conf.names_cache()
    assert not isinstance(backends.current(), EmbeddedCache)


def testsettings_of_site__without_a_module():
    holder = type(site_settings)()
    holder.configure(CACHES={"default": LOCMEM})
    assert conf.settings_of_site(holder).CACHES == {"default": LOCMEM}
