#!lua
-- restock: changes how many units of a product there are, by so many or to so many, while it sells.
--
-- uses   clock, units, customers, records, book, products, sales
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 product HASH; with an idempotency key: 10 once STRING
-- ARGV   1 retention_ms, 2 most events to keep, 3 product id, 4 delta or total, 5 units, 6 the most units that a product may
--        have; with an idempotency key: 7 its fingerprint, 8 once_ms
-- REPLY  behind                   lapsed units are left to reclaim: nothing was decided, call again
--        product_not_found
--        idempotency_key_reused   the key was used with another fingerprint
--        below_promised, floor    held + pending + sold: so many units are promised
--        above_maximum, most units
--        restocked, now, currency, starts, ends, paused, product row       also when the key was used for this before
-- cost   O(1 + due buckets)

-- names
local product_key, once_key = KEYS[BOOK + 1], KEYS[BOOK + 2]
local id, how, units, most, fingerprint, once_ms = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]

-- facts
local sale = redis.call('HMGET', sale_key, 'last_now', 'currency', 'starts', 'ends', 'paused')
local now = guarded_now(sale[1])
if reclaim(now) then return { 'behind' } end
local f = redis.call('HMGET', stock_key, id .. ':total', id .. ':held', id .. ':pending', id .. ':sold')
local done = once_key and redis.call('GET', once_key)

local function answer()
  return { 'restocked', now, sale[2], sale[3] or '', sale[4] or '', sale[5] or '', product_row(id, product_key) }
end

-- decision
if not f[1] then return { 'product_not_found' } end
if done then return done == fingerprint and answer() or { 'idempotency_key_reused' } end
local floor = f[2] + f[3] + f[4]
local total = how == 'delta' and f[1] + units or units
if total < floor then return { 'below_promised', floor } end
if total > most then return { 'above_maximum', most } end

-- effects
redis.call('HSET', stock_key, id .. ':total', int(total), id .. ':available', int(total - floor))
if once_key then redis.call('SET', once_key, fingerprint, 'PX', once_ms) end
emit_product('product.restocked', product_row(id, product_key), now)
write_book(now)
return answer()
