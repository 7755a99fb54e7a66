#!/bin/sh
# Makes one cluster of the six servers that are given, a replica for each of three primaries. Does nothing where it is made.
set -eu
first=${1%:*}
redis-cli -h "$first" cluster info | grep -q '^cluster_state:ok' && exit 0
redis-cli --cluster create "$@" --cluster-replicas 1 --cluster-yes
until redis-cli -h "$first" cluster info | grep -q '^cluster_state:ok'; do sleep 0.2; done
