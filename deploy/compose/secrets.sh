#!/bin/sh
# Makes the secrets of docker-compose.yml at the first start: an admin token, and one with which Prometheus reads /metrics. Later starts
# keep them. Every replica reads flashsale.toml, because a token that one of them made for itself would be unknown to the others.
set -eu
folder=${1:-/secrets}
[ ! -s "$folder/flashsale.toml" ] || exit 0

new() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
admin=$(new) metrics=$(new)
printf '%s\n' "$admin" >"$folder/admin-token"
printf '%s\n' "$metrics" >"$folder/metrics-token"
printf '[admin]\ntoken = "%s"\n\n[metrics]\ntoken = "%s"\n' "$admin" "$metrics" >"$folder/new.toml"
# The users of the services read them. Last, and at once: a start that was cut off leaves no file, and the next one makes all three anew.
chmod 444 "$folder/admin-token" "$folder/metrics-token" "$folder/new.toml"
mv "$folder/new.toml" "$folder/flashsale.toml"
