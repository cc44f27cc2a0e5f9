#!/usr/bin/env bash
# Back up geocache while it runs: backup.sh [--keep COUNT] [--without-cache] FOLDER
#
# First the cache, then the database. An answer is in the journal, which is in the cache, until it is in
# the table: what a flush moves in between is in both, and is written once more by the first flush after
# a restore, which changes nothing. In the other order its hot entry
# alone would be left, and that may have ended.
#
# --without-cache: of a Redis that cannot be copied. A flush comes first, and has to succeed.
set -euo pipefail
umask 077
cd "$(dirname "$0")/../.."
python=${PYTHON:-$PWD/.venv/bin/python}
keep=0 is_with_cache=true
while [ $# -gt 1 ]; do
    case $1 in
        --keep) keep=$2 && shift 2 ;;
        --without-cache) is_with_cache=false && shift ;;
        *) break ;;
    esac
done
if [ $# -ne 1 ] || [[ $1 == -* || ! $keep =~ ^[0-9]+$ ]]; then
    echo "usage: backup.sh [--keep COUNT] [--without-cache] FOLDER" >&2
    exit 2
fi
mkdir -p "$1"
cd "$1" && folder=$PWD && cd "$OLDPWD"
places=$("$python" -m project.deploy.places)
eval "$places"

# One read transaction, beside which others write: what it copies is one state.
copy_sqlite() {
    "$python" -c '
import sqlite3, sys
from contextlib import closing
from pathlib import Path
source, target = sys.argv[1:]
with closing(sqlite3.connect(f"{Path(source).as_uri()}?mode=ro", uri=True, timeout=60)) as one:
    with closing(sqlite3.connect(target)) as copy:
        one.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        ((found,),) = copy.execute("PRAGMA integrity_check(1)")
        assert found == "ok", f"{source}: {found}"
' "$1" "$2"
}

name=$(date -u +%Y-%m-%dT%H%M%SZ)
part=$folder/.$name.part
mkdir "$part"
trap 'rm -rf "$part"' EXIT

if ! $is_with_cache; then
    "$python" manage.py flush_geo
elif [ "$CACHE_KIND" = embedded ]; then
    # There is none before the first look-up.
    [ ! -e "$CACHE_FILE" ] || copy_sqlite "$CACHE_FILE" "$part/cache.sqlite3"
else
    read -ra options <<< "$REDIS_OPTIONS"
    [ -z "${REDIS_USER:-}" ] || options+=(--user "$REDIS_USER")
    redis-cli "${options[@]}" --rdb "$part/cache.rdb" > "$part/redis-cli.log" 2>&1 || {
        cat "$part/redis-cli.log" >&2
        exit 1
    }
    rm "$part/redis-cli.log"
fi

case $DATABASE_KIND in
    sqlite) copy_sqlite "$DATABASE_FILE" "$part/database.sqlite3" ;;
    postgresql) pg_dump --format=custom --no-owner --no-privileges --file="$part/database.dump" ;;
    mariadb)
        mariadb-dump --user="${MARIADB_USER:-}" --single-transaction --hex-blob --no-tablespaces \
            --result-file="$part/database.sql" "$MARIADB_DATABASE"
        ;;
esac

# What can be made again is left out: opened copies, static files, the database before the last one.
cd "$VAR_DIR"
shopt -s nullglob
kept=(databases verified_databases.json secret_key)
existing=()
for one in "${kept[@]}"; do [ ! -e "$one" ] || existing+=("$one"); done
[ ${#existing[@]} -eq 0 ] ||
    tar --create --file="$part/var.tar" --exclude='*.previous' "${existing[@]}"

cd "$part"
printf '%s\n' "$JOURNAL" > place
sha256sum -- * > SHA256SUMS
sync -f .
mv "$part" "$folder/$name"
trap - EXIT
echo "$folder/$name"

cd "$folder"
if [ "$keep" -gt 0 ]; then
    # Their names are their times.
    find . -mindepth 1 -maxdepth 1 -type d -name '????-??-??T??????Z' | sort -r |
        tail -n "+$((keep + 1))" | xargs -r rm -rf --
fi
