#!/usr/bin/env bash
# Start uvicorn on the socket of systemd, or on HOST and PORT.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "${LISTEN_PID:-}" = "$$" ]; then
    place=(--fd 3)
else
    place=(--host "${HOST:-127.0.0.1}" --port "${PORT:-8000}")
fi
# --no-proxy-headers: geocache reads X-Forwarded-For itself, from GEOCACHE_TRUSTED_PROXIES. If uvicorn
# put its first address into the place of the peer, geocache would take the visitor for the proxy, and with
# --forwarded-allow-ips '*' would believe what the visitor wrote.
# --no-access-log: the proxy keeps it. project/asgi.py limits the body.
exec "${PYTHON:-.venv/bin/python}" -m uvicorn project.asgi:application "${place[@]}" \
    --workers "${WEB_CONCURRENCY:-$(($(nproc) + 1))}" \
    --no-proxy-headers --no-server-header --no-access-log --lifespan off \
    --timeout-keep-alive 5 --timeout-graceful-shutdown 30 --backlog 2048 "$@"
