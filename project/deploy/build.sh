#!/usr/bin/env bash
# Build the bundled project in a checkout: its environment in .venv and its static files.
# Needs uv. The Containerfile runs this, and so does an installation by hand.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Never that of the shell that builds.
export UV_PROJECT_ENVIRONMENT=$PWD/.venv
# Installed once and started often: at a start nothing is left to compile.
export UV_COMPILE_BYTECODE=${UV_COMPILE_BYTECODE:-1}
uv sync --quiet --no-default-groups --group project --group serve "$@"
# The checkout itself, which its user may not write to.
[ "$UV_COMPILE_BYTECODE" = 0 ] || .venv/bin/python -m compileall -q geocache project

# The services run as another user, who may not enter the folder of a Python below /root.
python=$(readlink --canonicalize-existing .venv/bin/python)
folder=$(dirname "$python")
while [ "$folder" != / ]; do
    if (($(stat --format=0%a "$folder") % 2 == 0)); then
        echo "build.sh: other users may not enter $folder, where the Python of .venv is." >&2
        echo "Build with one that they may run: UV_PYTHON=/usr/bin/python3 project/deploy/build.sh" >&2
        break
    fi
    folder=$(dirname "$folder")
done

# Of the settings, static files need only that there are some: none of these values is kept.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
DEBUG=false SECRET_KEY=build ALLOWED_HOSTS=localhost DATABASE_URL='' CACHE_URL='' \
    GEOCACHE_VAR_DIR=$work STATIC_ROOT=${STATIC_ROOT:-$PWD/static} \
    .venv/bin/python manage.py collectstatic --noinput --verbosity 0
