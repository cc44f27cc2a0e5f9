#!/usr/bin/env bash
# Restore what backup.sh made: restore.sh [--replace] [--without-cache] FOLDER
#
# Into an empty place, or with --replace over what is there. --without-cache leaves the cache alone, for
# a lost database beside a cache that is intact: the journal may have newer answers than the backup.
#
# No process of geocache may run meanwhile. A Redis is restored before this, by restore_redis.sh. At the
# end a flush writes what waited in the journal when the backup was made.
set -euo pipefail
umask 077
cd "$(dirname "$0")/../.."
python=${PYTHON:-$PWD/.venv/bin/python}
is_replacing=false is_with_cache=true
while [ $# -gt 1 ]; do
    case $1 in
        --replace) is_replacing=true && shift ;;
        --without-cache) is_with_cache=false && shift ;;
        *) break ;;
    esac
done
if [ $# -ne 1 ] || [ ! -f "$1/SHA256SUMS" ]; then
    echo "usage: restore.sh [--replace] [--without-cache] FOLDER, which backup.sh has made" >&2
    exit 2
fi
cd "$1" && backup=$PWD
sha256sum --check --quiet SHA256SUMS
cd "$OLDPWD"
places=$("$python" -m project.deploy.places)
eval "$places"

refuse() {
    echo "restore.sh: $1" >&2
    exit 1
}

# Keys of the cache begin with the name of the database, which of SQLite is its path, and with the
# prefix: elsewhere, what waited in the journal would not be found.
place=$(cat "$backup/place")
[ "$place" = "$JOURNAL" ] || refuse "the backup is of $place, and this is $JOURNAL: restore it there"

mariadb() { command mariadb --user="${MARIADB_USER:-}" "$MARIADB_DATABASE" "$@"; }
has_tables() {
    case $DATABASE_KIND in
        postgresql) [ "$(psql --no-psqlrc -Atc "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")" != 0 ] ;;
        mariadb) [ -n "$(mariadb --execute='SHOW TABLES')" ] ;;
        *) false ;;
    esac
}

# All places are looked at before the first of them is written to.
files=()
[ "$DATABASE_KIND" != sqlite ] || files+=("$backup/database.sqlite3" "$DATABASE_FILE")
[ ! -e "$backup/cache.sqlite3" ] || ! $is_with_cache || files+=("$backup/cache.sqlite3" "$CACHE_FILE")
if ! $is_replacing; then
    for ((n = 1; n < ${#files[@]}; n += 2)); do
        [ ! -e "${files[n]}" ] || refuse "${files[n]} exists; --replace puts it aside"
    done
    ! has_tables || refuse "the database has tables; --replace replaces them"
fi

# Put aside what is there, with the log of SQLite that belongs to it and to no other file. What an
# earlier restore put aside is kept, as *.~1~.
put_aside() {
    for file in "$1" "$1-wal" "$1-shm"; do
        [ ! -e "$file" ] || mv --backup=numbered -- "$file" "$file.before-restore"
    done
}

case $DATABASE_KIND in
    postgresql)
        options=(--no-owner --no-privileges --exit-on-error --single-transaction)
        $is_replacing && options+=(--clean --if-exists)
        pg_restore "${options[@]}" --dbname="$PGDATABASE" "$backup/database.dump"
        ;;
    mariadb) mariadb < "$backup/database.sql" ;;
esac
for ((n = 0; n < ${#files[@]}; n += 2)); do
    put_aside "${files[n + 1]}"
    mkdir -p "$(dirname "${files[n + 1]}")"
    cp -- "${files[n]}" "${files[n + 1]}"
done
[ ! -e "$backup/var.tar" ] || tar --extract --file="$backup/var.tar" --directory="$VAR_DIR"

"$python" manage.py migrate --verbosity 0
"$python" manage.py flush_geo
