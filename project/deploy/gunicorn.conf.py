"""Settings of gunicorn: ``gunicorn --config project/deploy/gunicorn.conf.py project.wsgi``."""

import os
from typing import Any

# Without systemd, which hands over the socket of geocache-web.socket. GUNICORN_CMD_ARGS with --bind
# counts more than this file.
bind = [f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"]
backlog = 2048

# A look-up that waits for a paid provider holds a thread, and not the whole worker. WEB_CONCURRENCY
# sets another number of workers; each has a memory of 100,000 addresses (MEMORY_SIZE).
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or (os.cpu_count() or 1) + 1)
threads = 4

# The longest request is a form with 50,000 lines; a worker that hangs is replaced after this time.
timeout = 60
# After SIGTERM and SIGHUP, requests that are under way have this long. The proxy waits as long;
# systemd ten seconds more (TimeoutStopSec).
graceful_timeout = 30
keepalive = 5
# What a library leaks goes with its worker, and not all workers at once. What it held in memory is
# still in the cache.
max_requests = 20_000
max_requests_jitter = 2_000

# Each worker imports the code itself: SIGHUP then loads another release, and a thread or an open
# embedded cache is never forked.
preload_app = False
# The heartbeat of a worker must not wait for a disk.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - gunicorn makes an unnamed file there

# geocache reads X-Forwarded-For itself, from proxies in GEOCACHE_TRUSTED_PROXIES, and Django reads
# X-Forwarded-Proto where TRUST_X_FORWARDED_PROTO says so. gunicorn would also believe
# X-Forwarded-Ssl and X-Forwarded-Protocol, which no proxy here removes.
secure_scheme_headers: dict[str, str] = {}
forwarded_allow_ips = "127.0.0.1,::1"
# X_Forwarded_For would be the same variable as X-Forwarded-For.
header_map = "drop"

# The proxy keeps the access log: it knows the visitor. ACCESS_LOG=- shows one here, too: without
# headers, which visitors write, and without the query string, which holds addresses.
accesslog = os.environ.get("ACCESS_LOG") or None
access_log_format = '%(t)s %(p)s "%(m)s %(U)s" %(s)s %(B)s %(M)s ms'
errorlog = "-"


def post_worker_init(_: Any) -> None:
    """Load what the first request would wait for, before this worker takes one."""
    # Django must be set up.
    from geocache.health.warm_up import warm_up  # noqa: PLC0415

    warm_up()
