#!/bin/sh
# A sentinel that watches redis-primary. It writes what it learns into its own file, so it is made once.
set -eu
file=/data/sentinel.conf
[ -s "$file" ] || cat >"$file" <<SETTINGS
port 26379
protected-mode no
dir /data
sentinel resolve-hostnames yes
sentinel monitor drop redis-primary 6379 2
sentinel down-after-milliseconds drop 3000
sentinel failover-timeout drop 10000
SETTINGS
exec redis-server "$file" --sentinel
