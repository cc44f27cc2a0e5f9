"""The settings of what jobs do: updates, imports, retention and bans."""

from typing import Final

from django.utils.translation import gettext_lazy as _

from geocache.runtime_settings.entry import Entry, Group
from geocache.runtime_settings.kinds import Number, YesNo
from geocache.runtime_settings.kinds_of_lines import Networks, Pairs
from geocache.setting_bounds import BOUNDS, PREFIX_LENGTHS, RETENTION_DAYS, is_score

ENTRIES: Final = (
    Entry(
        "UPDATE_DAYS",
        Group.UPDATES,
        Number(BOUNDS["UPDATE_DAYS"], "days", zero=_("0 (no updates)")),
        _("Time between two database updates"),
        _("After how many days the job asks for a newer database. 0: it never does."),
    ),
    Entry(
        "UPDATE_TIME_LIMIT_SECONDS",
        Group.UPDATES,
        Number(BOUNDS["UPDATE_TIME_LIMIT_SECONDS"], "seconds"),
        _("Time limit of a database update"),
        _("How long one update may take, with all its downloads."),
    ),
    Entry(
        "REFRESH_TIME_LIMIT_SECONDS",
        Group.UPDATES,
        Number(BOUNDS["REFRESH_TIME_LIMIT_SECONDS"], "seconds", zero=_("0 (no refresh)")),
        _("Time limit of a refresh"),
        _("How long one run of the job that resolves old rows again may take. 0: the job is off."),
    ),
    Entry(
        "IMPORT_HOURS",
        Group.UPDATES,
        Number(BOUNDS["IMPORT_HOURS"], "hours", zero=_("0 (each minute)")),
        _("Time between two imports of a blocklist"),
        _(
            "After how many hours a blocklist is fetched again. 0: every minute, which publishers "
            "may refuse."
        ),
    ),
    Entry(
        "IMPORT_TIME_LIMIT_SECONDS",
        Group.UPDATES,
        Number(BOUNDS["IMPORT_TIME_LIMIT_SECONDS"], "seconds"),
        _("Time limit of an import"),
        _("How long fetching one blocklist may take, and reading it as long again."),
    ),
    Entry(
        "IMPORT_MAX_BYTES",
        Group.UPDATES,
        Number(BOUNDS["IMPORT_MAX_BYTES"], "bytes"),
        _("Largest blocklist"),
        _("A blocklist with more bytes is not imported."),
    ),
    Entry(
        "RETENTION_DAYS",
        Group.RETENTION,
        Number(RETENTION_DAYS, "days", zero=_("0 (kept indefinitely)")),
        _("Retention of addresses"),
        _(
            "After how many days without a request a daily job deletes an address. 0: nothing is "
            "deleted."
        ),
    ),
    Entry(
        "HISTORY_DAYS",
        Group.RETENTION,
        Number(BOUNDS["HISTORY_DAYS"], "days"),
        _("Retention of runs"),
        _("For how many days the runs of the flush and of the jobs are kept."),
    ),
    Entry(
        "LICENCE_CLEANUP",
        Group.RETENTION,
        YesNo(),
        _("Remove data as its licence asks"),
        _(
            "Whether a job refreshes or deletes rows, history and replaced files of GeoLite 30 "
            "days after their build, as its licence asks."
        ),
    ),
    Entry(
        "BANS_ENABLED",
        Group.BANS,
        YesNo(),
        _("Bans"),
        _(
            "Whether entries of blocklists are banned, if BAN_ACTION is set. When this is "
            "switched off, the bans in force end within a minute."
        ),
    ),
    Entry(
        "NEVER_BAN",
        Group.BANS,
        Networks(),
        _("Never ban"),
        _(
            "Addresses, networks and ranges that are never banned, one a line. Nothing that "
            "overlaps them is banned. Private networks, trusted proxies and this machine never "
            "are."
        ),
    ),
    Entry(
        "BAN_WIDEST_IPV4",
        Group.BANS,
        Number(PREFIX_LENGTHS["BAN_WIDEST_IPV4"], "bits"),
        _("Widest IPv4 network"),
        _(
            "The shortest prefix of an IPv4 network that is banned. A smaller number allows wider "
            "networks."
        ),
    ),
    Entry(
        "BAN_WIDEST_IPV6",
        Group.BANS,
        Number(PREFIX_LENGTHS["BAN_WIDEST_IPV6"], "bits"),
        _("Widest IPv6 network"),
        _(
            "The shortest prefix of an IPv6 network that is banned. A smaller number allows wider "
            "networks."
        ),
    ),
    Entry(
        "BAN_ALLOW_WIDE",
        Group.BANS,
        Networks(),
        _("Wide networks that may be banned"),
        _(
            "Networks that may be banned although they are wider, and networks inside them, one "
            "a line."
        ),
    ),
    Entry(
        "BAN_MIN_SCORES",
        Group.BANS,
        Pairs(is_score),
        _("Minimum scores"),
        _(
            "From which score an entry of a blocklist is banned, as “name = number”, one a line. "
            "An entry of that blocklist without a score is not banned."
        ),
    ),
)
