#!/bin/sh
# A Redis that goes on when a file must not become longer. How long its files may be is the matter of the test.
trap "" XFSZ
server=$(command -v redis-server || command -v valkey-server || echo .cache/bin/valkey-server)
exec "$server" "$@"
