#!/bin/sh
# A Redis none of whose files may be longer than 32 blocks of 512 bytes, as on a disk that is full.
trap "" XFSZ
ulimit -f 32
exec "$REAL_SERVER" "$@"
