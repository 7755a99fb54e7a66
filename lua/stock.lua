#!lua flags=allow-oom
-- stock: what a reader sees of products of one sale, exact at this instant. It writes only what has lapsed.
--
-- uses   clock, units, products
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, then for each product: its product HASH
-- ARGV   for each product: its id
-- REPLY  behind            lapsed units are left to reclaim, call again
--        stock, now, currency, starts, ends, paused, and for each product its row (lib/products), empty when it is not there
-- cost   O(products + due buckets)

-- names
local PRODUCTS, HEAD = 4, 6

-- facts
local sale = redis.call('HMGET', sale_key, 'last_now', 'currency', 'starts', 'ends', 'paused')
local now = guarded_now(sale[1])
if reclaim(now) then return { 'behind' } end

local reply = { 'stock', now, sale[2] or '', sale[3] or '', sale[4] or '', sale[5] or '' }
for i, id in ipairs(ARGV) do reply[HEAD + i] = product_row(id, KEYS[PRODUCTS + i]) end
return reply
