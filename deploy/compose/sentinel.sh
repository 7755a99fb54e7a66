#!/bin/sh
# A sentinel that watches the primary at the address that is given. Not by its name: a sentinel knows all others by their addresses, takes a
# name and an address for two servers, and does not start again. It writes what it learns into its own file, so it is made once.
set -eu
file=/data/sentinel.conf
[ -s "$file" ] || cat >"$file" <<SETTINGS
port 26379
protected-mode no
dir /data
sentinel monitor drop $1 6379 2
sentinel down-after-milliseconds drop 3000
sentinel failover-timeout drop 10000
SETTINGS
exec redis-server "$file" --sentinel
