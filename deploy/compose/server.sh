#!/bin/sh
# A server that sentinels watch, as they find it: a primary, or with an argument a replica, as in "replicaof 172.30.41.31 6379". Whom it
# follows is theirs to say from then on, and they write it into its own file, which is made once.
set -eu
file=/data/server.conf
[ -s "$file" ] || cat >"$file" <<SETTINGS
port 6379
protected-mode no
dir /data
appendonly yes
save ""
maxmemory 256mb
maxmemory-policy noeviction
hz 100
min-replicas-to-write 1
min-replicas-max-lag 2
${1:-}
SETTINGS
exec redis-server "$file"
