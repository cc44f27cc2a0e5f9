"""Upgrades of tables that have rows; none of them may rebuild a large one."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from geocache.models import AnswerHistory
from tests.factories import NOON

pytestmark = pytest.mark.django_db(transaction=True)


def without_hidden_columns():
    """Have MariaDB forget columns that were dropped: it keeps them as long as a table is not built
    again, and after several times there and back a row has no room left for them.
    """
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            for table in ("geocache_geocache", "geocache_answerhistory"):
                if table in connection.introspection.table_names():
                    cursor.execute(f"ALTER TABLE {table} FORCE")


def migrate(name):
    without_hidden_columns()
    MigrationExecutor(connection).migrate([("geocache", name)])
    return MigrationExecutor(connection).loader.project_state([("geocache", name)]).apps


def migrate_to_the_end():
    without_hidden_columns()
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("geocache"))


def sql_of(name):
    executor = MigrationExecutor(connection)
    state = executor.loader.project_state(("geocache", name), at_end=False)
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        executor.loader.get_migration("geocache", name).apply(state, editor, collect_sql=True)
    return [one for one in editor.collected_sql if not one.startswith("--")]


@pytest.fixture
def earlier_apps():
    """The tables of the release before."""
    if connection.vendor == "mysql":
        # MariaDB now and then renames a column by a definition that it has kept, in which the
        # check of the column is of another state.
        with connection.cursor() as cursor:
            cursor.execute("FLUSH TABLES")
    try:
        yield migrate("0005_imports")
    finally:
        migrate_to_the_end()


def test_names__rows_keep_their_values(earlier_apps):
    model = earlier_apps.get_model
    model("geocache", "GeoCache").objects.create(
        address="1.1.1.1", sort_key="1", asked_on=NOON.date(), resolved_at=NOON, created_at=NOON
    )
    model("geocache", "FormerAnswer").objects.create(
        address="1.1.1.1", city="Leeds", resolved_at=NOON, valid_from=NOON, valid_until=NOON
    )
    model("geocache", "JournalHead").objects.create(alias="geocache", position=7, trimmed=5)
    source = model("geocache", "ImportSource").objects.create(name="ipsum")
    run = model("geocache", "ImportRun").objects.create(
        source=source, sha256="0", started_at=NOON, appeared_count=2, left_count=1
    )
    listed = model("geocache", "ListedAddress").objects
    common = {"source": source, "prefix_length": 32, "first_listed_at": NOON}
    listed.create(entry="1.1.1.1", sort_key="1", appeared_run=run, **common)
    listed.create(entry="2.2.2.2", sort_key="2", left_run=run, **common)

    model = migrate("0006_names").get_model

    assert model("geocache", "GeoCache").objects.get().last_seen_on == NOON.date()
    assert model("geocache", "AnswerHistory").objects.get().city == "Leeds"
    head = model("geocache", "JournalHead").objects.get()
    assert (head.flushed_through, head.deleted_through) == (7, 5)
    run = model("geocache", "ImportRun").objects.get()
    assert (run.added_count, run.removed_count) == (2, 1)
    assert [one.entry for one in run.added.all()] == ["1.1.1.1"]
    assert [one.entry for one in run.removed.all()] == ["2.2.2.2"]


def test_names__no_table_and_no_index_is_built_again():
    statements = sql_of("0006_names")
    assert statements
    assert all("RENAME " in one for one in statements), statements


@pytest.fixture
def apps_with_urls():
    """The tables while they kept the URL of a list."""
    yield migrate("0007_lease")
    migrate_to_the_end()


def test_url_digest__no_url_is_left(apps_with_urls):
    model = apps_with_urls.get_model("geocache", "ImportSource")
    model.objects.create(name="ipsum", url="https://lists.example/?key=hunter2", etag='"one"')

    source = migrate("0009_url_digest").get_model("geocache", "ImportSource").objects.get()

    assert (source.name, source.url_digest) == ("ipsum", "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM geocache_importsource")
        assert "hunter2" not in str(cursor.fetchall())


@pytest.fixture
def apps_without_scores():
    """The tables before entries had scores."""
    yield migrate("0009_url_digest")
    migrate_to_the_end()


def test_scores__entries_keep_their_values_and_old_code_writes_more(apps_without_scores):
    model = apps_without_scores.get_model
    source = model("geocache", "ImportSource").objects.create(name="ipsum")
    run = model("geocache", "ImportRun").objects.create(source=source, sha256="0", started_at=NOON)
    common = {"source_id": source.pk, "prefix_length": 32, "first_listed_at": NOON}
    listed = model("geocache", "ListedAddress").objects
    listed.create(entry="1.1.1.1", sort_key="1", added_run=run, **common)

    new = migrate("0010_scores").get_model
    # A process of the release before, until it is restarted.
    listed.create(entry="2.2.2.2", sort_key="2", added_run=run, **common)
    model("geocache", "ImportRun").objects.create(source=source, sha256="1", started_at=NOON)

    rows = new("geocache", "ListedAddress").objects.order_by("sort_key")
    assert list(rows.values_list("entry", "score", "comment")) == [
        ("1.1.1.1", None, ""),
        ("2.2.2.2", None, ""),
    ]
    runs = new("geocache", "ImportRun").objects.values_list("changed_count", "reader_version")
    assert list(runs) == [(0, 0), (0, 0)]


def test_scores__no_table_is_built_again():
    statements = sql_of("0010_scores")
    assert len(statements) >= 3
    allowed = (" ADD COLUMN ", "CREATE INDEX ")
    assert all(any(word in one for word in allowed) for one in statements), statements


@pytest.fixture
def apps_with_wide_indexes():
    """The tables before their indexes became narrower."""
    yield migrate("0012_setting_overrides")
    migrate_to_the_end()


def columns_of_indexes():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "geocache_geocache")
    return {name: one["columns"] for name, one in found.items() if name.startswith("geocache_")}


@pytest.mark.usefixtures("apps_with_wide_indexes")
def test_narrow_indexes__have_other_columns_and_may_be_undone():
    is_postgresql = connection.vendor == "postgresql"
    before = columns_of_indexes()
    assert before["geocache_country"] == ["country_code", "resolved_at", "address"]

    migrate("0013_narrow_indexes")
    after = columns_of_indexes()
    assert after["geocache_country"] == ["country_code", "resolved_at"]
    assert after["geocache_asn_sort"] == ["asn", "address" if is_postgresql else "sort_key"]
    assert set(after) == set(before)

    migrate("0012_setting_overrides")
    assert columns_of_indexes() == before


def test_narrow_indexes__old_code_reads_and_writes(apps_with_wide_indexes):
    model = apps_with_wide_indexes.get_model("geocache", "GeoCache")
    common = {"last_seen_on": NOON.date(), "resolved_at": NOON, "created_at": NOON}
    model.objects.create(address="9.1.1.1", sort_key="1", **common)
    new_model = migrate("0013_narrow_indexes").get_model("geocache", "GeoCache")
    model.objects.create(address="10.1.1.1", sort_key="2", **common)

    for rows in (model.objects, new_model.objects):
        assert [row.address for row in rows.order_by("-sort_key")] == ["10.1.1.1", "9.1.1.1"]


def test_narrow_indexes__what_stays_the_same_is_not_made_again():
    statements = " ".join(sql_of("0013_narrow_indexes"))
    assert "geocache_country" in statements
    assert connection.vendor == "postgresql" or "geocache_country_sort" not in statements


def test_narrow_indexes__none_is_dropped_before_all_are_made():
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL lets others read meanwhile")
    kinds = [one.split(" INDEX ")[0] for one in sql_of("0013_narrow_indexes")]
    assert "CREATE" not in kinds[kinds.index("DROP") :]


@pytest.fixture
def apps_with_poorer_answers():
    """The tables before answers said more."""
    yield migrate("0013_narrow_indexes")
    migrate_to_the_end()


def test_richer_answers__old_code_reads_and_writes(apps_with_poorer_answers):
    model = apps_with_poorer_answers.get_model("geocache", "GeoCache")
    common = {"last_seen_on": NOON.date(), "resolved_at": NOON, "created_at": NOON}
    model.objects.create(address="9.1.1.1", sort_key="1", country_code="FR", **common)

    new_model = migrate("0014_richer_answers").get_model("geocache", "GeoCache")
    # A process of the release before, until it is restarted.
    model.objects.create(address="10.1.1.1", sort_key="2", country_code="FR", **common)

    names = ("country_code", "continent_code", "traits", "metro_code", "details", "user_type")
    assert list(new_model.objects.values_list(*names)) == [("FR", "", (), None, None, "")] * 2
    assert model.objects.count() == 2


@pytest.mark.usefixtures("apps_with_poorer_answers")
def test_richer_answers__may_be_undone():
    before = columns_of_indexes()
    new_model = migrate("0014_richer_answers").get_model("geocache", "GeoCache")
    common = {"last_seen_on": NOON.date(), "resolved_at": NOON, "created_at": NOON}
    new_model.objects.create(address="9.1.1.1", sort_key="1", traits=("anycast",), **common)

    model = migrate("0013_narrow_indexes").get_model("geocache", "GeoCache")
    assert [row.address for row in model.objects.all()] == ["9.1.1.1"]
    assert columns_of_indexes() == before


def test_richer_answers__no_table_is_built_again():
    statements = sql_of("0014_richer_answers")
    assert len(statements) >= 30
    allowed = (" ADD COLUMN ", "CREATE INDEX ")
    assert all(any(word in one for word in allowed) for one in statements), statements


@pytest.fixture
def apps_without_kinds():
    """The tables before history said what changed."""
    yield migrate("0014_richer_answers")
    migrate_to_the_end()


def test_kinds_of_change__old_code_writes_entries_that_are_found(apps_without_kinds):
    model = apps_without_kinds.get_model("geocache", "AnswerHistory")
    common = {"resolved_at": NOON, "valid_from": NOON, "valid_until": NOON, "new_city": "Leeds"}
    model.objects.create(address="1.1.1.1", city="London", **common)
    migrate("0015_kinds_of_change")
    model.objects.create(address="2.2.2.2", city="York", **common)

    rows = AnswerHistory.objects.of_kind("city").order_by("address")
    assert [(row.address, row.change_kinds, row.new_traits) for row in rows] == [
        ("1.1.1.1", ("city",), ()),
        ("2.2.2.2", ("city",), ()),
    ]


def test_kinds_of_change__no_table_is_built_again():
    statements = sql_of("0015_kinds_of_change")
    assert len(statements) >= 5
    allowed = (" ADD COLUMN ", "CREATE TABLE ", "CREATE INDEX ")
    assert all(any(word in one for word in allowed) for one in statements), statements
    made = [one for one in statements if "CREATE" in one and "history" in one]
    # Of no row that is there.
    assert all("CREATE INDEX" in one and "kinds" in one for one in made), made
    assert bool(made) is connection.features.supports_partial_indexes
