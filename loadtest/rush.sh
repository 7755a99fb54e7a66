#!/usr/bin/env bash
# The proof, with nothing but curl: five more buyers than there are units of product 1, all at once.
#   loadtest/rush.sh [URL]
#   PRODUCT (1)  API_KEY (none: for a service that asks for no key)
# Exits with 0 when exactly the units that were available were given out and exactly five buyers were refused.
set -euo pipefail

url=${1:-http://127.0.0.1:8080}
product=${PRODUCT:-1}
# curl leaves out a header without a value.
key="X-Api-Key: ${API_KEY:-}"

stock() {
  curl -sf --max-time 5 -H "$key" "$url/api/products/$product" | grep -o "\"$1\":[0-9]*" | cut -d: -f2
}

available=$(stock available_stock) || {
  echo "rush: no answer from $url/api/products/$product; start the service with: make run" >&2
  exit 2
}
if [ "$available" -gt 5000 ]; then
  echo "rush: $available units are more than this script sends buyers for" >&2
  exit 2
fi
buyers=$((available + 5))

echo "$buyers buyers want $available units, 32 at a time"
answers=$(seq "$buyers" | xargs -P 32 -I{} curl -s -o /dev/null -w '%{http_code}\n' --max-time 20 \
  -H "$key" -H 'Content-Type: application/json' -d "{\"product_id\":$product,\"quantity\":1}" "$url/api/holds")
count() { grep -c "^$1\$" <<<"$answers" || true; }
held=$(count 201) refused=$(count 409)

echo "  held     $held"
echo "  refused  $refused"
echo "  other    $((buyers - held - refused))"
echo "  left     $(stock available_stock)"
if [ "$held" = "$available" ] && [ "$refused" = 5 ] && [ "$(stock available_stock)" = 0 ]; then
  echo "proved: every unit was given out once"
else
  echo "NOT proved" >&2
  exit 1
fi
