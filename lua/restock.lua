#!lua
-- restock: changes how many units of a product there are, by so many or to so many, while it sells.
-- The first shard of a spread sale is asked: there units come and go.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, records, book, products, sales
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 product HASH; with an idempotency key: 10 once STRING
-- ARGV   1 retention_ms, 2 most events to keep, 3 product id, 4 delta or total, 5 units, 6 the most units that a product may
--        have; with an idempotency key: 7 its fingerprint, 8 once_ms
-- REPLY  behind                   lapsed units are left to reclaim: nothing was decided, call again
--        product_not_found
--        idempotency_key_reused   the key was used with another fingerprint
--        below_promised, floor    held + pending + sold: so many units are promised here
--        above_maximum, most units
--        restocked, now, currency, starts, ends, paused, product row, its row before or {}: this changed nothing
-- cost   O(1 + due buckets)
-- e.g.   KEYS = { book, 'product:1', 'once:k' }  ARGV = { 60000, 1000, '1', 'delta', 5, 1000000, 'fingerprint', 60000 }
--        ->  { 'restocked', 4102444800000, 'USD', '', '', '0', { '1', 'Item', '', '500000', '15', '12', ... },
--        { '1', 'Item', '', '500000', '10', ... } }

-- names
local product_key, once_key = KEYS[BOOK_KEYS + 1], KEYS[BOOK_KEYS + 2]
local id, how, units, most, fingerprint, once_ms = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]
local once_keys = once_key and 1 or 0
if #KEYS ~= BOOK_KEYS + 1 + once_keys or #ARGV ~= 6 + 2 * once_keys then
  return redis.error_reply('ERR restock: wrong number of keys or arguments')
end

-- facts
local last_write, known_due, currency, starts, ends, paused =
  unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due', 'currency', 'starts', 'ends', 'paused'))
local now = guarded_now(last_write)
if reclaim(now, known_due) then return { 'behind' } end
local product = product_at(id)
local lent = tonumber(redis.call('HGET', stock_key, id .. ':lent') or 0)
local used_for = once_key and redis.call('GET', once_key)

local function answer(before)
  return { 'restocked', now, currency, starts or '', ends or '', paused or '', product_row(id, product_key), before }
end

-- decision
if not product then return { 'product_not_found' } end
if used_for then return used_for == fingerprint and answer({}) or { 'idempotency_key_reused' } end
local floor, total = product.held + product.pending + product.sold, product.total
-- What other shards have stays there.
local new_total = how == 'delta' and total + units or units - lent
if new_total < floor then return { 'below_promised', floor } end
if new_total + lent > most then return { 'above_maximum', most } end

-- effects
local before = product_row(id, product_key)
add_units(id, 'total', new_total - total)
add_units(id, 'available', new_total - floor - product.available)
write_products()
if once_key then redis.call('SET', once_key, fingerprint, 'PX', once_ms) end
if new_total == total then return answer({}) end
frees = new_total > total
log_product_event('product.restocked', product_row(id, product_key), now, before)
write_book()
return answer(before)
