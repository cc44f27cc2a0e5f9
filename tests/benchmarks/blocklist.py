"""``python -m tests.benchmarks.blocklist``: what does the import of a blocklist cost?

With ``--out FILE`` it only writes the list: IPv4 addresses with counts, networks, comments and bad
lines, the same for the same ``--lines``. The database is one of tests, the cache has a prefix of
its own; ``DATABASE_URL`` and ``CACHE_URL`` choose both.
"""

import argparse
import random
import re
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from tests.benchmarks.own_services import own_services

WRITES = ("INSERT", "UPDATE", "DELETE")
PAGE_ROUNDS = 15


def lines(count: int) -> Iterator[str]:
    """Of a hundred lines two are networks and one is bad; none stands twice but by chance."""
    chance = random.Random(count)
    yield "# a list that was made up\n"
    for number in range(1, count):
        address = ".".join(str(chance.randrange(*ends)) for ends in ((1, 224), *[(0, 256)] * 3))
        if number % 100 == 0:
            yield "no address\n"
        elif number % 50 == 1:
            yield f"{address.rpartition('.')[0]}.0/24\t{chance.randrange(1, 10)}\n"
        else:
            yield f"{address}\t{chance.randrange(1, 10)}\n"


def main() -> None:
    """Write a list, or measure its import."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=130_000, help="of the list (130000)")
    parser.add_argument("--out", type=Path, help="only write the list to this file")
    options = parser.parse_args()
    if options.out:
        options.out.write_text("".join(lines(options.lines)))
        return
    with own_services():
        from tests.benchmarks.machine import print_machine

        # Pages are asked for by Django's test client.
        settings.ALLOWED_HOSTS = ["testserver"]
        print_machine()
        with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="made-up-") as file:
            file.writelines(lines(options.lines))
            file.flush()
            measure(file.name)


def measure(path: str) -> None:
    """Import once, again, then with one line in a hundred and then with all scores changed."""
    from django.db import connection

    from geocache.journal.flush import flush_dirty
    from geocache.models import GeoCache, ListedAddress
    from geocache.statistics.after_flush import after_flush

    say("import", *timed(lambda: imported(path)))
    say("the same import", *timed(lambda: imported(path)))
    seconds, _ = timed(lambda: flush_dirty(time_limit_seconds=600))
    print(f"  {'flush':<28}{seconds:8.2f} s")
    seconds, _ = timed(after_flush)
    print(f"  {'counts of table and list':<28}{seconds:8.2f} s")
    listed, located = ListedAddress.objects.count(), GeoCache.objects.count()
    print(f"  {listed:,} entries and {located:,} addresses in the table")
    text = Path(path).read_text().splitlines(keepends=True)
    kept = [line for number, line in enumerate(text) if number % 100 != 50]
    Path(path).write_text("".join(kept) + "".join(lines(len(text) // 100)))
    say("another content", *timed(lambda: imported(path)))
    scores = re.compile(r"(?<=\t)\d+$", re.MULTILINE)
    listed_text = Path(path).read_text()
    Path(path).write_text(scores.sub(lambda score: str(int(score[0]) + 1), listed_text))
    say("all scores are others", *timed(lambda: imported(path)))
    with connection.cursor() as cursor:
        # What a database does by itself, some minutes after so many rows.
        cursor.execute("ANALYZE")
    measure_pages()


def imported(path: str) -> str:
    """Import as the command does, and say what was done and written."""
    from django.db import connection

    from geocache.blocklists import sources
    from geocache.blocklists.apply import import_content

    origin = sources.find_origin(path, "made-up")
    written: list[str] = []

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.lstrip().startswith(WRITES):
            written.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(watch), sources.content_of(origin) as content:
        done = import_content(origin, content)
    return (
        f"{done.status}, +{done.added_count:,} -{done.removed_count:,} "
        f"~{done.changed_count:,}, "
        f"{len(written):,} statements that write"
    )


def measure_pages() -> None:
    """Ask for the pages of the list, and for the addresses on it."""
    from django.contrib.auth.models import User
    from django.test import Client

    from geocache.models import ImportRun, ImportSource, ListedAddress

    client = Client()
    client.force_login(User.objects.create_superuser("benchmark"))
    pk = ImportSource.objects.get().pk
    run = ImportSource.objects.get().current_run_id
    first = ImportRun.objects.order_by("started_at")[0].pk
    entries = ListedAddress.objects.listed().in_order()
    middle = entries[entries.count() // 2].entry
    for url in (
        "/lists/",
        f"/lists/{pk}/",
        f"/lists/{pk}/?after={middle}",
        f"/lists/{pk}/?sort=score",
        f"/lists/{pk}/?sort=score&after=5.0~{middle}",
        f"/lists/{pk}/?min_score=9",
        f"/lists/imports/{run}/",
        f"/lists/imports/{first}/?sort=score",
        f"/addresses/{middle.partition('/')[0]}/",
        "/addresses/?listed=made-up",
        "/addresses/?listed=made-up&country=US",
        "/addresses/?listed=made-up&sort=newest",
        "/admin/geocache/listedaddress/",
        "/admin/geocache/listedaddress/?is_listed__exact=1",
    ):
        assert client.get(url).status_code == 200, url
        seconds = sorted(timed(lambda url=url: client.get(url))[0] for _ in range(PAGE_ROUNDS))
        print(f"  {url:<56}{1000 * seconds[len(seconds) // 2]:8.0f} ms")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def say(what: str, seconds: float, done: str) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {what:<28}{seconds:8.2f} s   peak {peak:,.0f} MiB   {done}")


if __name__ == "__main__":
    main()
