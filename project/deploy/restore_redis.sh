#!/usr/bin/env bash
# Make the folder of a Redis with appendonly from a backup: restore_redis.sh CACHE.RDB EMPTY_FOLDER
#
# A Redis that is started with appendonly reads no .rdb file, and begins empty. So another one, which
# only this script can reach, reads it and writes the append-only files.
set -euo pipefail
umask 077
if [ $# -ne 2 ] || [ ! -f "$1" ]; then
    echo "usage: restore_redis.sh CACHE.RDB EMPTY_FOLDER" >&2
    exit 2
fi
mkdir -p "$2"
if [ -n "$(ls -A "$2")" ]; then
    echo "restore_redis.sh: $2 is not empty: move away what the stopped Redis has left" >&2
    exit 1
fi
cp -- "$1" "$2/dump.rdb"
cd "$2"
work=$(mktemp -d)
redis-server --port 0 --unixsocket "$work/socket" --dir "$PWD" --dbfilename dump.rdb --save '' \
    --appendonly no --maxmemory 0 --daemonize no > "$work/log" 2>&1 &
server=$!
trap 'kill "$server" 2> /dev/null || true; wait "$server" 2> /dev/null || true; rm -rf "$work"' EXIT

ask() { redis-cli -s "$work/socket" "$@" 2> /dev/null; }
until [ "$(ask ping)" = PONG ]; do
    kill -0 "$server" 2> /dev/null || { cat "$work/log" >&2 && exit 1; }
    sleep 0.1
done
ask config set appendonly yes > /dev/null
until ask info persistence | grep -q '^aof_rewrite_in_progress:0' &&
    ask info persistence | grep -q '^aof_rewrite_scheduled:0'; do
    sleep 0.1
done
ask info persistence | grep -q '^aof_last_bgrewrite_status:ok' || { cat "$work/log" >&2 && exit 1; }
ask info keyspace | tr -d '\r' | grep '^db' || true
ask shutdown nosave || true
wait "$server" || true
rm dump.rdb
