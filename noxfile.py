"""What CI runs, and where: ``.ci/run`` calls these sessions. So can you: ``uvx nox --list``.

Pythons and Djangos are the classifiers of pyproject.toml. The unit tests run on each Python with
each Django; both ends of that product run everything, spread over the databases:

===========  ====================================  ================================================
session      Python and Django                     runs
===========  ====================================  ================================================
lint         the oldest                            style, types, imports, migrations, settings
unit         each pair; the oldest has ``tests``   what takes no browser and no second, on SQLite;
                                                   between both ends admin, API and tables alone
unit_lowest  the oldest, lowest versions of all    what takes no browser and no second, and uses a
                                                   dependency, on SQLite
tests        the oldest                            everything, on SQLite and the embedded cache
postgres     the newest                            what a database or a cache can change, with Redis
mariadb      the newest                            what a database can change, with Redis
benchmarks   the oldest                            that they run, and that no ratio is worse
===========  ====================================  ================================================

The sessions ``postgres`` and ``mariadb`` need their server, and all but ``lint`` and ``unit`` need
Redis; GEOCACHE_TEST_POSTGRES_URL, GEOCACHE_TEST_MARIADB_URL and GEOCACHE_TEST_REDIS_URL say where.
"""

import os
import secrets

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True

POSTGRES = os.environ.get(
    "GEOCACHE_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"
)
MARIADB = os.environ.get("GEOCACHE_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test")
REDIS = os.environ.get("GEOCACHE_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
DJANGOS = [
    classifier.rpartition(" ")[2]
    for classifier in PYPROJECT["project"]["classifiers"]
    if classifier.startswith("Framework :: Django :: ")
]
# Where a Django needs a newer Python than we do.
FIRST_PYTHONS = {"6.0": "3.12", "6.1": "3.12"}


def minor(version: str) -> int:
    """Return 12 of 3.12."""
    return int(version.partition(".")[2])


PAIRS = [
    (python, django)
    for python in PYTHONS
    for django in DJANGOS
    if minor(python) >= minor(FIRST_PYTHONS.get(django, "3.0"))
]
OLDEST, NEWEST = PAIRS[0], PAIRS[-1]

# Between both ends: where most of Django is used that a Python and a Django could break together,
# though neither end breaks it.
WHERE_BOTH_MEET = [
    f"tests/{folder}" for folder in ("admin", "api", "integrations", "models", "templatetags")
]
UNIT = "not slow and not browser"
# What waits is stolen: slow tests stand together, and one process would be left with them.
SPREAD = ("-n", "auto", "--dist", "worksteal", "--durations=5")


def install(session: nox.Session, django: str, *more: str) -> None:
    """Install this checkout with the tools of its development, and this Django."""
    given = ("--editable", ".[all,sample]", "--group", "dev", "--group", "project")
    session.install(*given, f"django~={django}.0", *more)
    session.run("python", "--version")
    session.run("python", "-m", "django", "--version")


def run_with_services(session: nox.Session, database: str, marker: str) -> None:
    """Run what this database, or Redis, can change."""
    session.run(
        "pytest", *SPREAD, "--services-only", "-m", marker, *session.posargs,
        env={"DATABASE_URL": database, "CACHE_URL": REDIS},
    )  # fmt: skip


@nox.session(python=OLDEST[0])
def lint(session: nox.Session) -> None:
    """Look at style, types, imports, migrations, and the settings of a production site."""
    install(session, OLDEST[1])
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    # In an environment of its own: it brings rich, which structlog would then load.
    session.run("uvx", "--quiet", "--from", "import-linter>=2.17", "lint-imports", external=True)
    session.run("python", "manage.py", "makemigrations", "--check", "--dry-run")
    production = {
        "DEBUG": "false",
        "ALLOWED_HOSTS": "geo.example.org",
        "SECRET_KEY": secrets.token_hex(50),
        "DATABASE_URL": POSTGRES,
        "CACHE_URL": REDIS,
        "GEOCACHE_VAR_DIR": session.create_tmp(),
    }
    deploy = ("check", "--deploy", "--fail-level", "WARNING")
    session.run("python", "manage.py", *deploy, env=production)
    collect = ("collectstatic", "--noinput", "--verbosity", "0")
    session.run("python", "manage.py", *collect, env=production)
    # The README's first command, twice.
    for _ in range(2):
        session.run("python", "manage.py", "demo_geo", "--no-serve")


@nox.session
@nox.parametrize(
    "python,django",
    # The newest first: it takes longest.
    [nox.param(*pair, id="-".join(pair)) for pair in reversed(PAIRS) if pair != OLDEST],
)
def unit(session: nox.Session, django: str) -> None:
    """Run the unit tests on a pair of Python and Django; on the newest, measure what they reach."""
    # One process, which compiles what it imports: sessions beside each other (``--parallel``) take
    # less time than one on all processors, as nothing goes through pytest-xdist.
    session.env["UV_COMPILE_BYTECODE"] = "0"
    if (session.python, django) != NEWEST:
        install(session, django)
        # What no Django changes, the oldest and the newest Python try.
        marker = f"{UNIT} and not any_django"
        session.run("pytest", "--quiet", "-m", marker, *WHERE_BOTH_MEET, *session.posargs)
        return
    install(session, django, "coverage>=7.10")
    session.run("coverage", "run", "-m", "pytest", "--quiet", "-m", UNIT, *session.posargs,
                env={"COVERAGE_CORE": "sysmon"})  # fmt: skip
    session.run("coverage", "report", "--skip-covered", "--skip-empty")


@nox.session(python=OLDEST[0])
def unit_lowest(session: nox.Session) -> None:
    """Run the unit tests with the lowest versions that pyproject.toml allows."""
    session.env["UV_COMPILE_BYTECODE"] = "0"
    install(session, OLDEST[1], "--resolution", "lowest-direct")
    session.run("pytest", "--quiet", "-m", f"{UNIT} and not any_version", *session.posargs)


@nox.session(python=OLDEST[0])
def tests(session: nox.Session) -> None:
    """Run everything on SQLite and the embedded cache; other servers are started, or asked for."""
    # mysqlclient is built from C: the tests of the reliability of MariaDB have both its drivers.
    install(session, OLDEST[1], "--group", "mariadb")
    session.run("pytest", *SPREAD, *session.posargs)


@nox.session(python=NEWEST[0])
def postgres(session: nox.Session) -> None:
    """Run what PostgreSQL or Redis can change."""
    install(session, NEWEST[1])
    run_with_services(session, POSTGRES, "not browser and not any_services")


@nox.session(python=NEWEST[0])
def mariadb(session: nox.Session) -> None:
    """Run what MariaDB can change; what only the cache decides, ``postgres`` has run."""
    install(session, NEWEST[1], "--group", "mariadb")
    run_with_services(session, MARIADB, "not browser and not any_services and not cache_decides")


@nox.session(python=OLDEST[0])
def benchmarks(session: nox.Session) -> None:
    """Run each benchmark on few rows, to see that it runs; compare ratios with the stored ones."""
    install(session, OLDEST[1], "--group", "benchmarks")
    for options in (
        ("", "--quick"),
        (".blocklist", "--lines", "3000"),
        (".paid_queries", "--count", "1000", "--processes", "1"),
        (".bans", "--entries", "5000", "--old-entries", "500"),
    ):
        session.run("python", "-m", f"tests.benchmarks{options[0]}", *options[1:])
    for services in ({}, {"DATABASE_URL": POSTGRES, "CACHE_URL": REDIS}):
        session.run("python", "-m", "tests.benchmarks.compare", env=services)
