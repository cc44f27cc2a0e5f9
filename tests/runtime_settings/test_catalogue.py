import math
from typing import Any

import pytest
from django.core import checks
from django.utils import translation

from geocache import conf
from geocache.runtime_settings import catalogue
from geocache.runtime_settings.catalogue import ENTRIES, NOT_AT_RUN_TIME, clean, problem, shown
from geocache.runtime_settings.entry import Group

WRONG: list[tuple[str, Any]] = [
    ("FLUSH_INTERVAL_SECONDS", 0),
    ("FLUSH_INTERVAL_SECONDS", 0.2),
    ("FLUSH_INTERVAL_SECONDS", True),
    ("FLUSH_INTERVAL_SECONDS", math.nan),
    ("FLUSH_INTERVAL_SECONDS", math.inf),
    ("FLUSH_INTERVAL_SECONDS", 10**30),
    ("TTL_SECONDS", None),
    ("TTL_SECONDS", "60"),
    ("MEMORY_SIZE", 1.5),
    ("MEMORY_SIZE", -1),
    ("HISTORY_DAYS", 0),
    ("IMPORT_HOURS", 10**6),
    ("IMPORT_MAX_BYTES", 0),
    ("RETENTION_DAYS", 1.5),
    ("RETENTION_DAYS", 40_000),
    ("PUBLIC_LOOKUP", 1),
    ("BANS_ENABLED", "no"),
    ("LOOKUP_RATE", "often"),
    ("LOOKUP_RATE", "0/minute"),
    ("PUBLIC_QUERY_RATE", 5),
    ("DAILY_QUOTAS", {"One": -1}),
    ("DAILY_QUOTAS", {"One": True}),
    ("DAILY_QUOTAS", []),
    ("NEVER_BAN", ["my office"]),
    ("NEVER_BAN", "10.0.0.0/8"),
    ("BAN_ALLOW_WIDE", [None]),
    ("BAN_WIDEST_IPV4", 33),
    ("BAN_WIDEST_IPV6", 19.5),
    ("BAN_WIDEST_IPV6", True),
    ("BAN_MIN_SCORES", {"one": "many"}),
    ("BAN_MIN_SCORES", {"one": math.nan}),
    ("LOG_LEVEL", "LOUD"),
    ("LOG_LEVEL", {}),
]


def test_catalogue__each_setting_is_in_it_or_has_a_reason_why_not() -> None:
    assert not ENTRIES.keys() & NOT_AT_RUN_TIME.keys()
    assert ENTRIES.keys() | NOT_AT_RUN_TIME.keys() == conf.DEFAULTS.keys()
    assert all(NOT_AT_RUN_TIME.values())


def test_catalogue__each_group_has_settings_and_each_setting_texts() -> None:
    assert {one.group for one in ENTRIES.values()} == set(Group)
    for one in ENTRIES.values():
        assert str(one.label)
        assert str(one.help).endswith(".")


@pytest.mark.parametrize("name", ENTRIES)
def test_problem__default_is_usable_and_the_form_gives_it_back(name: str) -> None:
    default = conf.DEFAULTS[name]
    assert problem(name, default) == ""
    assert clean(name, catalogue.written(name, default)) == default
    assert shown(name, default)


@pytest.mark.parametrize("name", NOT_AT_RUN_TIME)
def test_problem__others_cannot_be_changed(name: str) -> None:
    assert problem(name, conf.DEFAULTS[name]) == f"{name} cannot be changed at run time"


def test_problem__unknown_name() -> None:
    assert problem("NOTHING", 1) == "NOTHING cannot be changed at run time"


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_problem__finds_what_check_finds(settings: Any, name: str, value: Any) -> None:
    assert problem(name, value)
    assert "\n" not in problem(name, value)
    settings.GEOCACHE = {**settings.GEOCACHE, name: value}
    errors = [one for one in checks.run_checks() if str(one.id).startswith("geocache.E")]
    assert len(errors) == 1


RIGHT: list[tuple[str, str, Any]] = [
    ("FLUSH_INTERVAL_SECONDS", " 30 ", 30),
    ("MEMORY_TTL_SECONDS", "0.5", 0.5),
    ("RETENTION_DAYS", "0", 0),
    ("PUBLIC_LOOKUP", "yes", True),
    ("BANS_ENABLED", "no", False),
    ("LOOKUP_RATE", "", None),
    ("LOOKUP_RATE", " 5/minute; 7/2 days ", "5/minute; 7/2 days"),
    (
        "NEVER_BAN",
        "192.0.2.1\r\n\r\n 10.0.0.0/8\n192.0.2.1\n2001:db8::-2001:db8::9\n",
        ["192.0.2.1", "10.0.0.0/8", "2001:db8::-2001:db8::9"],
    ),
    ("DAILY_QUOTAS", "MaxMind = 1000\na=b=0", {"MaxMind": 1000, "a=b": 0}),
    ("BAN_MIN_SCORES", "ipsum=3\nown = 0.5", {"ipsum": 3, "own": 0.5}),
    ("LOG_LEVEL", "DEBUG", "DEBUG"),
    ("LOG_LEVEL", "", None),
]


@pytest.mark.parametrize(("name", "text", "value"), RIGHT)
def test_clean__reads_a_form_and_writes_it_again(name: str, text: str, value: Any) -> None:
    assert clean(name, text) == value
    assert clean(name, catalogue.written(name, value)) == value


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("FLUSH_INTERVAL_SECONDS", "0", "Enter a number from 1 to 86,400."),
        ("FLUSH_INTERVAL_SECONDS", "", "Enter a number from 1 to 86,400."),
        ("FLUSH_INTERVAL_SECONDS", "nan", "Enter a number from 1 to 86,400."),
        ("FLUSH_INTERVAL_SECONDS", "1e400", "Enter a number from 1 to 86,400."),
        ("FLUSH_INTERVAL_SECONDS", "1_0", "Enter a number from 1 to 86,400."),
        ("FLUSH_INTERVAL_SECONDS", "9" * 5000, "Enter a number from 1 to 86,400."),
        ("FLUSH_INTERVAL_SECONDS", "9" * 400, "Enter a number from 1 to 86,400."),
        ("BACKLOG_LIMIT", "9" * 400, "Enter a whole number from 0 to 1,000,000,000."),
        ("DAILY_QUOTAS", "One = " + "9" * 400, "Line 1: enter a name and a number"),
        ("BAN_MIN_SCORES", "one = " + "9" * 400, "Line 1: enter a name and a number"),
        ("RETENTION_DAYS", "1.5", "Enter a whole number from 0 to 36,525."),
        ("RETENTION_DAYS", "--5", "Enter a whole number from 0 to 36,525."),
        ("PUBLIC_LOOKUP", "", "Choose yes or no."),
        ("LOG_LEVEL", "LOUD", "Choose one of DEBUG, INFO, WARNING, ERROR, CRITICAL."),
        ("LOOKUP_RATE", "often", "Enter limits such as “120/minute; 2000/day”"),
        ("NEVER_BAN", "10.0.0.0/8\n\nmy office", "Line 3: “my office” is not an address"),
        ("DAILY_QUOTAS", "One", "Line 1: enter a name and a number"),
        ("DAILY_QUOTAS", "One = 1.5", "Line 1: enter a name and a number"),
        ("DAILY_QUOTAS", "One = 1\nOne = 2", "Line 2: “One” is there twice."),
        ("BAN_MIN_SCORES", "one = inf", "Line 1: enter a name and a number"),
        ("NEVER_BAN", "10.0.0.1\n" * 10_001, "Enter at most 10,000 lines."),
    ],
)
def test_clean__says_what_cannot_be_read_in_one_line(name: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        clean(name, text)
    assert str(refusal.value).startswith(said)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("FLUSH_INTERVAL_SECONDS", 60, "60 s"),
        ("FLUSH_INTERVAL_SECONDS", 120, "120 s (2 min)"),
        ("TTL_SECONDS", 30 * 86_400, "2,592,000 s (30 days)"),
        ("TTL_SECONDS", 7200.0, "7,200.0 s (2.0 h)"),
        ("TTL_SECONDS", 86_401, "86,401 s"),
        ("HISTORY_DAYS", 30, "30 days"),
        ("BACKLOG_LIMIT", 1_000_000, "1,000,000"),
        ("IMPORT_MAX_BYTES", 256 * 2**20, "268,435,456 bytes (256 MiB)"),
        ("RETENTION_DAYS", 0, "0 (kept indefinitely)"),
        ("BAN_WIDEST_IPV4", 8, "/8"),
        ("PUBLIC_LOOKUP", False, "No"),
        ("LOOKUP_RATE", None, "no limit"),
        ("NEVER_BAN", [], "none"),
        ("NEVER_BAN", {"b", "a"}, "a, b"),
        ("DAILY_QUOTAS", {"One": 1000}, "One: 1,000"),
        ("BAN_MIN_SCORES", {"one": 3.0}, "one: 3"),
        ("LOG_LEVEL", None, "as LOGGING says"),
        # What a settings file may hold all the same.
        ("TTL_SECONDS", "soon", "'soon'"),
        ("DAILY_QUOTAS", 5, "5"),
    ],
)
def test_shown__as_people_read_it(name: str, value: Any, text: str) -> None:
    assert shown(name, value) == text


def test_problem__is_english_in_each_language() -> None:
    said = problem("TTL_SECONDS", 0)
    with translation.override("de"):
        assert problem("TTL_SECONDS", 0) == said
