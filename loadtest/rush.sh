#!/usr/bin/env bash
# The proof with nothing but curl: five more buyers than product 1 has units, all at once.
#   loadtest/rush.sh [URL]
#   PRODUCT (1)  API_KEY (none, for a service that asks for no key)
# Exits with 0 if exactly the available units were given out and exactly five buyers were refused, with 1 if not, and with 2 if
# nothing could be proved, with the reason.
set -euo pipefail

url=${1:-http://127.0.0.1:8080}
product=${PRODUCT:-1}
# curl leaves out a header without a value.
key="X-Api-Key: ${API_KEY:-}"

read_stock() {
  reply=$(curl -s --max-time 5 -H "$key" -w '\n%{http_code}' "$url/api/products/$product") || true
  status=${reply##*$'\n'}
}
units() { grep -o "\"$1_stock\":[0-9]*" <<<"$reply" | cut -d: -f2; }
stop() {
  echo "rush: $1" >&2
  exit 2
}

read_stock
case $status in
  200) ;;
  000 | '') stop "nothing answers at $url; start the service with: make run (or name another: make proof URL=http://…)" ;;
  401 | 403)
    if [ -n "${API_KEY:-}" ]; then stop "$url does not know this API_KEY ($status); it must be one of its http.api_keys"; fi
    stop "$url asks for an API key ($status): make proof URL=$url API_KEY=… with one of its http.api_keys"
    ;;
  404) stop "$url has no product $product (404): make proof URL=$url PRODUCT=…, or start a fresh one with: make run" ;;
  429) stop "$url has a rate limit, and this address has used it up (429); start it without http.rate_limit_per_second" ;;
  *) stop "$url answered $status: $(head -c 300 <<<"${reply%$'\n'*}")" ;;
esac
available=$(units available) || stop "what answers at $url is no flashsale service"
if [ "$available" = 0 ]; then
  stop "product $product has no units left: $(units held) held, $(units pending) pending, $(units sold) sold. To start fresh stop
  the service, rm -r flashsale-data, make run; or take another product: make proof URL=$url PRODUCT=…"
fi
if [ "$available" -gt 5000 ]; then
  stop "$available units are more than this script sends buyers for"
fi
buyers=$((available + 5))

echo "$buyers buyers want $available units, 32 at a time"
# Who hears that too many wait (503) asks again, with the key of the same purchase, so that no unit is taken twice.
buy() {
  for _ in 1 2 3 4 5; do
    code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 20 -H "$key" -H 'Content-Type: application/json' \
      -H "Idempotency-Key: $purchase-$1" -d "{\"product_id\":$product,\"quantity\":1}" "$url/api/holds") || true
    [ "$code" = 503 ] || break
    sleep 1
  done
  echo "$code"
}
export -f buy
export key product url purchase="rush-$(date +%s)-$$"
answers=$(seq "$buyers" | xargs -P 32 -I{} bash -c 'buy {}' || true)
count() { grep -c "^$1\$" <<<"$answers" || true; }
held=$(count 201) refused=$(count 409) limited=$(count 429)
read_stock
left=$(units available) || left="unknown ($status)"

echo "  held     $held"
echo "  refused  $refused"
echo "  other    $((buyers - held - refused))"
echo "  left     $left"
if [ $((held + refused)) != "$buyers" ]; then
  echo "other answers, how many and which (000: none): $(grep -vxE '201|409' <<<"$answers" | sort | uniq -c | xargs)" >&2
fi
if [ "$limited" -gt 0 ]; then
  echo "$limited buyers met a rate limit (429), so this proves nothing; start the service without http.rate_limit_per_second" >&2
fi
if [ "$held" = "$available" ] && [ "$refused" = 5 ] && [ "$left" = 0 ]; then
  echo "proved: every unit was given out once"
else
  echo "NOT proved" >&2
  exit 1
fi
