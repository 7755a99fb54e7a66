-- Whole purchases: hold, order, payment event. Each answer decides the next request.
--   PRODUCT=1 wrk -t2 -c32 -d2s --latency -s loadtest/wrk/lifecycle.lua http://127.0.0.1:8080
-- WEBHOOK_SECRET signs the events; without it they are not signed, as with --demo. API_KEY is for a service that asks for
-- one. Exits with 1 if an event was not applied or an answer was unexpected.

local ffi = require("ffi")

-- wrk is linked with OpenSSL; Lua has no HMAC of its own.
ffi.cdef [[
  const void *EVP_sha256(void);
  unsigned char *HMAC(const void *, const void *, int, const unsigned char *, size_t, unsigned char *, unsigned int *);
  int EVP_EncodeBlock(unsigned char *, const unsigned char *, int);
  int EVP_DecodeBlock(unsigned char *, const unsigned char *, int);
]]

local threads = {}
local json = { ["Content-Type"] = "application/json", ["X-Api-Key"] = os.getenv("API_KEY") }

function setup(thread)
  table.insert(threads, thread)
end

function init()
  local product = tonumber(os.getenv("PRODUCT") or 1)
  hold = wrk.format("POST", "/api/holds", json, ('{"product_id":%d,"quantity":1}'):format(product))
  key = decoded(os.getenv("WEBHOOK_SECRET") or "")
  -- The next requests. wrk does not say which connection an answer came on, so any connection takes any of these. There are
  -- never more of them than connections, because each answer adds at most one.
  steps = {}
  held, ordered, paid, refused, other = 0, 0, 0, 0, 0
end

function request()
  return table.remove(steps) or hold
end

function response(status, _, body)
  local order = body:match('^{"id":"(order_[%w_-]+)"')
  local unit = not order and body:match('^{"id":"(hold_[%w_-]+)"')
  if status == 201 and unit then
    held = held + 1
    table.insert(steps, wrk.format("POST", "/api/orders", json, ('{"hold_id":"%s"}'):format(unit)))
  elseif status == 201 and order then
    ordered = ordered + 1
    table.insert(steps, payment(order))
  elseif status == 200 and body:find('"outcome":"applied"', 1, true) then
    paid = paid + 1
  elseif status == 409 and body:find('"insufficient_stock"', 1, true) then
    refused = refused + 1
  else
    other = other + 1
  end
end

-- A payment event, signed as in the Standard Webhooks specification.
function payment(order)
  local id = "pay-" .. order
  local body = ('{"idempotency_key":"%s","payload":{"status":"paid","order_id":"%s"}}'):format(id, order)
  local headers = { ["Content-Type"] = "application/json" }
  if key then
    local timestamp = tostring(os.time())
    headers["webhook-id"] = id
    headers["webhook-timestamp"] = timestamp
    headers["webhook-signature"] = "v1," .. mac(("%s.%s.%s"):format(id, timestamp, body))
  end
  return wrk.format("POST", "/api/payments/webhook", headers, body)
end

function mac(text)
  local digest, base64 = ffi.new("unsigned char[32]"), ffi.new("unsigned char[45]")
  ffi.C.HMAC(ffi.C.EVP_sha256(), key, #key, text, #text, digest, nil)
  return ffi.string(base64, ffi.C.EVP_EncodeBlock(base64, digest, 32))
end

-- The key in a secret of the form whsec_<base64>; nil if there is none.
function decoded(secret)
  local base64 = secret:gsub("^whsec_", "")
  if base64 == "" then
    return nil
  end
  local bytes = ffi.new("unsigned char[?]", #base64)
  local length = ffi.C.EVP_DecodeBlock(bytes, base64, #base64)
  assert(length > 0, "WEBHOOK_SECRET is not whsec_ and base64")
  -- OpenSSL counts the padding as bytes.
  return ffi.string(bytes, length - #base64:match("=*$"))
end

function done(summary, latency)
  local sum = { held = 0, ordered = 0, paid = 0, refused = 0, other = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(sum) do
      sum[name] = sum[name] + thread:get(name)
    end
  end
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  print(("held %d  ordered %d  paid %d  refused %d  other %d  lost %d  %.0f/s  p99 %.2f ms"):format(
    sum.held, sum.ordered, sum.paid, sum.refused, sum.other, lost,
    summary.requests / (summary.duration / 1e6), latency:percentile(99) / 1e3))
  if sum.other > 0 or sum.paid == 0 then
    os.exit(1)
  end
end
