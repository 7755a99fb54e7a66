#!lua flags=allow-oom
-- stock: reads products of one sale for buyers, exact at this instant. It writes only what has lapsed.
--
-- uses   keys, clock, buckets, stock, units, products
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, then for each product: its product HASH
-- ARGV   for each product: its id
-- REPLY  behind            lapsed units are left to reclaim, call again
--        stock, now, currency, starts, ends, paused, rules of the sale (lib/rules), and for each product its row
--          (lib/products), empty when there is none
-- cost   O(products + due buckets)
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines', 'product:1', 'product:9' }  ARGV = { '1', '9' }
--        ->  { 'stock', 4102444800000, 'USD', '', '', '0', '', { '1', 'Item', '', '500000', '10', '7', '2', ... }, {} }

-- names
local PRODUCTS, HEAD = 4, 7
if #KEYS < PRODUCTS or #KEYS ~= PRODUCTS + #ARGV then
  return redis.error_reply('ERR stock: wrong number of keys or arguments')
end

-- facts
local last_write, known_due, currency, starts, ends, paused, rules =
  unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due', 'currency', 'starts', 'ends', 'paused', 'rules'))
local now = guarded_now(last_write)
if reclaim(now, known_due) then return { 'behind' } end

local reply = { 'stock', now, currency or '', starts or '', ends or '', paused or '', rules or '' }
for i, id in ipairs(ARGV) do reply[HEAD + i] = product_row(id, KEYS[PRODUCTS + i]) end
return reply
