"""The scheduler's part: flush the journals of all groups until the parent says to end."""

import json
import resource
import sys
import threading
import time

from geocache.journal.flush import flush_dirty


def main() -> None:
    """Flush each ``argv[1]`` seconds until standard input ends; print the sum, as JSON."""
    pause, is_over = float(sys.argv[1]), threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
    flushed = lost = runs = 0
    seconds, slowest, most_pending = 0.0, 0.0, 0
    while not is_over.is_set():
        report = flush_dirty(60)
        runs += 1
        flushed, lost = flushed + report.flushed, lost + report.lost
        seconds, slowest = seconds + report.seconds, max(slowest, report.seconds)
        most_pending = max(most_pending, report.pending)
        is_over.wait(max(pause - report.seconds, 0))
    started = time.monotonic()
    last = flush_dirty(600)
    used = resource.getrusage(resource.RUSAGE_SELF)
    report_of_all = {
        "flushed": flushed,
        "lost": lost + last.lost,
        "runs": runs,
        "seconds": seconds,
        "slowest": slowest,
        "most_pending": most_pending,
        "drained": last.flushed,
        "drain_seconds": time.monotonic() - started,
        "pending": last.pending,
        "cpu_seconds": used.ru_utime + used.ru_stime,
    }
    print(json.dumps(report_of_all))
