"""Other libraries that say where an address is. Each is imported alone, as its users do.

``python -m tests.benchmarks.peer_readers NAME PATH ADDRESS`` answers once, in a fresh process.
"""

import sys
from collections.abc import Callable

Reader = Callable[[str], object]


def geoip2(path: str) -> Reader:
    from geoip2.database import Reader as DatabaseReader

    return DatabaseReader(path).city


def django_geoip2(path: str) -> Reader:
    from django.conf import settings

    if not settings.configured:
        settings.configure()
    from django.contrib.gis.geoip2 import GeoIP2

    return GeoIP2(path=path).city


def maxminddb(path: str) -> Reader:
    from maxminddb import open_database

    return open_database(path).get


def maxminddb_rust(path: str) -> Reader:
    from maxminddb_rust import open_database

    return open_database(path).get


def geoip2fast(_: str) -> Reader:
    """Has a data file of its own, of countries and operators: no cities."""
    from geoip2fast import GeoIP2Fast

    return GeoIP2Fast(geoip2fast_data_file="geoip2fast-asn-ipv6.dat.gz").lookup


READERS: dict[str, Callable[[str], Reader]] = {
    "geoip2 Reader.city()": geoip2,
    "Django's GeoIP2().city()": django_geoip2,
    "maxminddb Reader.get(), in C": maxminddb,
    "maxminddb-rust Reader.get()": maxminddb_rust,
    "geoip2fast lookup(), no cities": geoip2fast,
}


if __name__ == "__main__":
    READERS[sys.argv[1]](sys.argv[2])(sys.argv[3])
