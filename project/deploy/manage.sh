#!/usr/bin/env bash
# Run a command of manage.py by hand as the services do: with their user and environment, and in their
# folder, so that paths of files have to be absolute.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Read by systemd and by this: values with spaces, quotes or $ stand between single quotes.
set -a
# shellcheck source=/dev/null
. "${GEOCACHE_ENV:-/etc/geocache/site.env}"
GEOCACHE_VAR_DIR=${GEOCACHE_VAR_DIR:-/var/lib/geocache}
set +a
umask 077
program=("$PWD/.venv/bin/python" manage.py)
if [[ ${1:-} == *.sh ]]; then
    program=("project/deploy/$1") && shift
fi
if [ "$(id -un)" = geocache ]; then
    exec "${program[@]}" "$@"
fi
exec runuser -u geocache -- "${program[@]}" "$@"
