import threading
import time

import pytest
from django.db import OperationalError

from geocache import background, under_test
from geocache.background import Background
from geocache.cache.guard import guarded
from geocache.instants import utc_now
from geocache.labels import follow, give_label, label_names, labelled, labels_of, lists
from geocache.labels.follow import of_this_process
from geocache.models import ImportRun, ImportSource, ListedAddress
from tests.factories import LONDON, a_location
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db(transaction=True)
TEN = "10.9.8.7"


@pytest.fixture(autouse=True)
def _no_look_ups(monkeypatch):
    monkeypatch.setattr("geocache.blocklists.apply.locate", lambda _: None)


@pytest.fixture
def tasks(monkeypatch):
    """As in production, but for the thread: tests call what it would."""
    monkeypatch.setattr(under_test, "is_this_process", lambda: False)
    monkeypatch.setattr(background, "run_within", lambda _seconds, act, name: act())  # noqa: ARG005
    monkeypatch.setattr(follow.connections, "close_all", lambda: None)
    made = Background()
    monkeypatch.setattr(background, "every", made.every)
    return made


@pytest.fixture
def _cache_in_use():
    with guarded() as backend:
        backend.set("used", 1)


def after_seconds(tasks):
    """Another process has changed something, and its document has expired."""
    with guarded() as backend:
        backend.delete(f"{lists.KEYS}{lists.database_id()}")
    tasks.run_due(float("inf"))


def by_another_process(act):
    """Change something without a word to this process."""
    index = of_this_process.index
    of_this_process.index = None
    act()
    of_this_process.index = index


@pytest.mark.usefixtures("tasks")
def test_labels_of__nothing_is_labelled(django_assert_num_queries):
    imported(LONDON)
    with django_assert_num_queries(1):
        assert labels_of(LONDON) == ()
    one = a_location()
    with django_assert_num_queries(0):
        assert labels_of(TEN) == ()
        assert labelled([one])[0] is one
        assert label_names() == []


@pytest.mark.usefixtures("tasks")
def test_labels_of__first_question_builds_the_index(django_assert_num_queries):
    imported(LONDON, "10.0.0.0/8", name="one")
    give_label("one", "vpn")
    assert of_this_process.index is None
    assert labels_of(LONDON) == labels_of(TEN) == ("vpn",)
    with django_assert_num_queries(0):
        assert labels_of("11.0.0.0") == ()
        assert label_names() == ["vpn"]


@pytest.mark.usefixtures("tasks")
def test_labelled__traits_are_merged_and_sorted_once():
    imported(LONDON, name="one")
    imported("81.2.0.0/16", name="two")
    give_label("one", "vpn")
    give_label("two", "bot")
    named = a_location(traits=("cloud", "vpn"))
    plain, other = a_location(address=TEN), a_location(traits=("bot", "vpn"))
    found = labelled([named, plain, other])
    assert [one.traits for one in found] == [("bot", "cloud", "vpn"), (), ("bot", "vpn")]
    assert found[1] is plain
    assert found[2] is other
    assert named.traits == ("cloud", "vpn")
    assert found[0].address == named.address


@pytest.mark.usefixtures("_cache_in_use")
def test_follow__another_process_imports(tasks):
    imported(LONDON, name="one")
    give_label("one", "vpn")
    assert labels_of(TEN) == ()
    by_another_process(lambda: imported(TEN, name="one"))
    assert (labels_of(LONDON), labels_of(TEN)) == (("vpn",), ())
    after_seconds(tasks)
    assert (labels_of(LONDON), labels_of(TEN)) == ((), ("vpn",))


@pytest.mark.usefixtures("_cache_in_use")
def test_follow__only_lists_that_have_changed_are_read(tasks, monkeypatch):
    for name in ("one", "two"):
        imported(LONDON, name=name)
        give_label(name, name)
    read, read_ranges = [], follow.read_ranges
    monkeypatch.setattr(follow, "read_ranges", lambda pk: read.append(pk) or read_ranges(pk))
    assert labels_of(LONDON) == ("one", "two")
    assert len(read) == 2
    by_another_process(lambda: imported(TEN, name="two"))
    after_seconds(tasks)
    after_seconds(tasks)
    assert read[2:] == [ImportSource.objects.get(name="two").pk]


@pytest.mark.usefixtures("_cache_in_use")
def test_follow__other_processes_read_the_document(tasks, django_assert_num_queries):
    labels_of(LONDON)
    after_seconds(tasks)
    with django_assert_num_queries(0):
        of_this_process.follow()


@pytest.mark.usefixtures("tasks")
def test_changed__import_in_this_process_counts_at_once():
    imported(LONDON, name="one")
    give_label("one", "vpn")
    assert labels_of(LONDON) == ("vpn",)
    imported(TEN, name="one")
    assert (labels_of(LONDON), labels_of(TEN)) == ((), ("vpn",))


@pytest.mark.parametrize("way", ["by hand", "deleted", "settings"])
def test_changed__label_that_is_taken_away_counts_without_an_import(way, tasks, settings):
    imported(LONDON, name="one")
    given = {**settings.GEOCACHE}
    settings.GEOCACHE = {**given, "IMPORT_OPTIONS": {"one": {"label": "tor"}}}
    assert labels_of(LONDON) == ("tor",)
    give_label("one", "vpn")
    assert labels_of(LONDON) == ("vpn",)
    match way:
        case "deleted":
            ImportSource.objects.get().forget()
        case "by hand":
            give_label("one", "")
            assert labels_of(LONDON) == ("tor",)
            settings.GEOCACHE = given
            after_seconds(tasks)
        case "settings":
            give_label("one", "")
            settings.GEOCACHE = {**given, "IMPORT_OPTIONS": {"one": {"label": "no good"}}}
            after_seconds(tasks)
    assert labels_of(LONDON) == ()
    assert label_names() == []


@pytest.mark.usefixtures("_cache_in_use")
def test_follow__list_that_is_being_imported_keeps_its_labels(tasks):
    imported(LONDON, name="one")
    give_label("one", "vpn")
    assert labels_of(LONDON) == ("vpn",)
    # Killed in the middle.
    ImportSource.objects.update(current_run=None, holder="another")
    ListedAddress.objects.update(is_listed=False)
    after_seconds(tasks)
    assert labels_of(LONDON) == ("vpn",)
    ImportSource.objects.update(holder="")
    ImportRun.objects.update(finished_at=utc_now())
    after_seconds(tasks)
    assert labels_of(LONDON) == ()
    imported(LONDON, TEN, name="one")
    assert labels_of(LONDON) == labels_of(TEN) == ("vpn",)


@pytest.mark.usefixtures("_cache_in_use")
def test_follow__index_stays_while_the_database_is_away(tasks, monkeypatch, caplog):
    imported(LONDON, name="one")
    give_label("one", "vpn")
    assert labels_of(LONDON) == ("vpn",)

    def fail(*_):
        raise OperationalError("server has gone away")

    with monkeypatch.context() as away:
        away.setattr(follow, "read_lists", fail)
        after_seconds(tasks)
        of_this_process.refresh()
        of_this_process.changed()
        assert labels_of(LONDON) == ("vpn",)
    with monkeypatch.context() as away:
        away.setattr(follow, "read_ranges", fail)
        by_another_process(lambda: imported(TEN, name="one"))
        after_seconds(tasks)
        assert labels_of(LONDON) == ("vpn",)
    after_seconds(tasks)
    assert labels_of(TEN) == ("vpn",)
    assert caplog.text.count("geo_labels_unread") == 1


def test_first__question_waits_no_longer_than_its_patience(monkeypatch):
    monkeypatch.setattr(under_test, "is_this_process", lambda: False)
    monkeypatch.setattr(background, "every", lambda *_: None)
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", 0.01)
    is_over, is_read = threading.Event(), threading.Event()

    def read():
        is_over.wait(10)
        is_read.set()
        return []

    monkeypatch.setattr(follow, "read_lists", read)
    started = time.monotonic()
    assert labels_of(LONDON) == ()
    assert time.monotonic() - started < 5
    is_over.set()
    assert is_read.wait(10)


@pytest.mark.usefixtures("tasks")
def test_first__where_no_database_may_be_asked(monkeypatch):
    def refuse():
        raise RuntimeError("Database access not allowed")

    monkeypatch.setattr(follow, "read_lists", refuse)
    assert labels_of(LONDON) == ()


def test_after_fork__lock_of_the_parent_is_not_held():
    of_this_process.building.acquire()
    of_this_process.after_fork()
    assert not of_this_process.building.locked()


def test_under_test__labels_of_rows_as_a_test_makes_them(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert labels_of(LONDON) == ()
    source = ImportSource.objects.create(name="one", label="vpn")
    assert labels_of(LONDON) == ()
    run = ImportRun.objects.create(source=source, sha256="0" * 64, started_at=utc_now())
    imported(LONDON, name="one")
    assert labels_of(LONDON) == ("vpn",)
    assert run.source.label == "vpn"
