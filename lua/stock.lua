#!lua flags=allow-oom
-- stock: what a reader sees of products of one sale, exact at this instant. It writes only what has lapsed.
--
-- uses   clock, units
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, then for each product: its product HASH
-- ARGV   for each product: its id
-- REPLY  behind            lapsed units are left to reclaim, call again
--        stock, now, currency, and for each product an empty list (it is not there) or
--        (id, name, price in ten-thousandths, total, available, held, pending, sold, max_per_hold, next release or 0)
-- cost   O(products + due buckets)

-- names
local COUNTERS = { 'price', 'total', 'available', 'held', 'pending', 'sold', 'max_per_hold' }

-- facts
local sale = redis.call('HMGET', sale_key, 'last_now', 'currency')
local now = guarded_now(sale[1])
if reclaim(now) then return { 'behind' } end

local function row(id, product_key)
  local fields = {}
  for i, counter in ipairs(COUNTERS) do fields[i] = id .. ':' .. counter end
  local f = redis.call('HMGET', stock_key, unpack(fields))
  if not f[1] then return {} end
  local name = redis.call('HGET', product_key, 'name')
  local coming_back = f[4] ~= '0' or f[5] ~= '0'
  return { id, name, f[1], f[2], f[3], f[4], f[5], f[6], f[7], coming_back and next_release(id) or 0 }
end

local reply = { 'stock', now, sale[2] or '' }
for i, id in ipairs(ARGV) do reply[i + 3] = row(id, KEYS[4 + i]) end
return reply
