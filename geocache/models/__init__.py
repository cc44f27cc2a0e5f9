"""The tables; their QuerySets are the vocabulary."""

from geocache.models.answers import GeoCache, GeoCacheQuerySet, Reason
from geocache.models.blocklists import (
    Ban,
    ImportRun,
    ImportSource,
    ListedAddress,
    ListedAddressQuerySet,
)
from geocache.models.history import AnswerHistory, AnswerHistoryQuerySet
from geocache.models.journal import FlushRun, JournalHead, RejectedEntry
from geocache.models.scheduler import JobRun, SchedulerLease
from geocache.models.settings import SettingOverride
from geocache.models.statistics import Statistics
from geocache.models.tokens import ApiToken
from geocache.models.tombstones import Tombstone
from geocache.models.trait_sources import TraitSource

__all__ = [
    "AnswerHistory",
    "AnswerHistoryQuerySet",
    "ApiToken",
    "Ban",
    "FlushRun",
    "GeoCache",
    "GeoCacheQuerySet",
    "ImportRun",
    "ImportSource",
    "JobRun",
    "JournalHead",
    "ListedAddress",
    "ListedAddressQuerySet",
    "Reason",
    "RejectedEntry",
    "SchedulerLease",
    "SettingOverride",
    "Statistics",
    "Tombstone",
    "TraitSource",
]
