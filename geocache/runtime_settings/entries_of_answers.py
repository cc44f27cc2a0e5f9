"""The settings of how answers are kept and saved, and how many one may ask for."""

from typing import Final

from django.utils.translation import gettext_lazy as _

from geocache.runtime_settings.entry import Entry, Group
from geocache.runtime_settings.kinds import Choice, Number, Rate, YesNo
from geocache.runtime_settings.kinds_of_lines import Pairs
from geocache.setting_bounds import BOUNDS, DAILY_QUOTA, LOG_LEVELS

ENTRIES: Final = (
    Entry(
        "FLUSH_INTERVAL_SECONDS",
        Group.FLUSH,
        Number(BOUNDS["FLUSH_INTERVAL_SECONDS"], "seconds"),
        _("Time between two flushes"),
        _("How often waiting answers are saved to the table. The job is rescheduled at once."),
    ),
    Entry(
        "FLUSH_TIME_LIMIT_SECONDS",
        Group.FLUSH,
        Number(BOUNDS["FLUSH_TIME_LIMIT_SECONDS"], "seconds"),
        _("Time limit of a flush"),
        _("After this time a flush ends with its current batch. The next one writes the rest."),
    ),
    Entry(
        "BACKLOG_LIMIT",
        Group.FLUSH,
        Number(BOUNDS["BACKLOG_LIMIT"], zero=_("0 (each answer is saved at once)")),
        _("Limit of waiting answers"),
        _(
            "When more answers wait in the cache, new ones are saved to the table at once. This "
            "protects the cache's memory."
        ),
    ),
    Entry(
        "TTL_SECONDS",
        Group.CACHE,
        Number(BOUNDS["TTL_SECONDS"], "seconds"),
        _("Lifetime of an answer"),
        _("How long the cache keeps an answer. A change counts for answers that are cached later."),
    ),
    Entry(
        "NOT_FOUND_TTL_SECONDS",
        Group.CACHE,
        Number(BOUNDS["NOT_FOUND_TTL_SECONDS"], "seconds"),
        _("Lifetime of “not found”"),
        _("How long the cache keeps that nothing is known of an address."),
    ),
    Entry(
        "ROW_TTL_SECONDS",
        Group.CACHE,
        Number(BOUNDS["ROW_TTL_SECONDS"], "seconds"),
        _("Greatest age of rows that answer"),
        _(
            "How old a row of the table may be to answer in place of a paid provider. A shorter "
            "time asks the provider more often."
        ),
    ),
    Entry(
        "MEMORY_SIZE",
        Group.CACHE,
        Number(BOUNDS["MEMORY_SIZE"], zero=_("0 (nothing is kept)")),
        _("Answers in memory"),
        _("How many answers each process keeps in its own memory."),
    ),
    Entry(
        "MEMORY_TTL_SECONDS",
        Group.CACHE,
        Number(BOUNDS["MEMORY_TTL_SECONDS"], "seconds"),
        _("Lifetime in memory"),
        _("How long a process answers from its memory before it asks the cache again."),
    ),
    Entry(
        "LOOKUP_RATE",
        Group.LIMITS,
        Rate(),
        _("Look-ups of one user"),
        _(
            "How many addresses a user who may see addresses can look up, on the page and by the "
            "API together. Such as “60000/minute”; empty: no limit."
        ),
    ),
    Entry(
        "PUBLIC_LOOKUP_RATE",
        Group.LIMITS,
        Rate(),
        _("Look-ups of one visitor"),
        _(
            "How many addresses anyone else can look up, by IPv4 address or IPv6 /64. Such as "
            "“120/minute; 2000/day”; empty: no limit."
        ),
    ),
    Entry(
        "PUBLIC_TOTAL_RATE",
        Group.LIMITS,
        Rate(),
        _("Look-ups of all visitors"),
        _(
            "How many addresses all visitors together can look up. This limits the rows that "
            "they create. Empty: no limit."
        ),
    ),
    Entry(
        "PUBLIC_QUERY_RATE",
        Group.LIMITS,
        Rate(),
        _("Paid queries of all visitors"),
        _("How many queries to a paid provider all visitors together can cause. Empty: no limit."),
    ),
    Entry(
        "DAILY_QUOTAS",
        Group.LIMITS,
        Pairs(DAILY_QUOTA.takes),
        _("Daily quotas of providers"),
        _(
            "How many queries a paid provider may be asked in a day of UTC, as “name = number”, "
            "one a line. It overrides queries_per_day of the provider; 0: it is never asked."
        ),
    ),
    Entry(
        "PUBLIC_LOOKUP",
        Group.ACCESS,
        YesNo(),
        _("Public look-up"),
        _(
            "Whether the look-up page and the API are open to all visitors. Otherwise they are "
            "open to users with the permission to view answers."
        ),
    ),
    Entry(
        "LOG_LEVEL",
        Group.LOG,
        Choice(LOG_LEVELS, _("as LOGGING says")),
        _("Log level"),
        _(
            "The lowest level that the loggers of geocache write. A logger or handler with its own "
            "level in LOGGING keeps it."
        ),
    ),
)
