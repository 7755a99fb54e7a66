#!lua
-- remove_product: takes a product that never sold out of its sale, to delete it, or to move it to another sale.
-- A product that moves leaves what it is in its baggage, until arrive_product has put it into the other sale. A move takes a
-- product once, and one that is refused stays refused: a call that comes late must not begin what nobody would end.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, records, book, products, sales
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 product HASH; of a move: 10 baggage HASH, 11 once STRING
-- ARGV   1 retention_ms, 2 most events to keep, 3 product id; of a move: 4 this sale, 5 the other sale, 6 once_ms
-- REPLY  behind                   lapsed units are left to reclaim: nothing was decided, call again
--        product_not_found
--        product_has_orders       an order of it was made
--        product_has_holds
--        removed, its baggage as fields and values: none where it is deleted
-- cost   O(1 + due buckets)
-- e.g.   KEYS = { book, 'product:2', 'moving:2:m', 'once:move-m' }  ARGV = { 60000, 1000, '2', 's', 'drop', 60000 }
--        ->  { 'removed', { 'currency', 'USD', 'name', 'Item', ... } }

-- names
local product_key, baggage_key, once_key = KEYS[BOOK_KEYS + 1], KEYS[BOOK_KEYS + 2], KEYS[BOOK_KEYS + 3]
local id, from, to, once_ms = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local moves = baggage_key and 1 or 0
if #KEYS ~= BOOK_KEYS + 1 + 2 * moves or #ARGV ~= 3 + 3 * moves then
  return redis.error_reply('ERR remove_product: wrong number of keys or arguments')
end

-- facts
local last_write, known_due, currency =
  unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due', 'currency'))
local now = guarded_now(last_write)
if reclaim(now, known_due) then return { 'behind' } end
local product = product_at(id)
local was_ordered, lent = unpack(redis.call('HMGET', stock_key, id .. ':ordered', id .. ':lent'))
local row = product_row(id, product_key)
local baggage = baggage_key and redis.call('HGETALL', baggage_key) or {}
local refused = once_key and redis.call('GET', once_key)

-- decision
if #baggage > 0 then return { 'removed', baggage } end
local has_orders = product and (was_ordered or product.pending > 0 or product.sold > 0)
if has_orders and not refused then refused = 'product_has_orders' end
-- Units of other shards, or units that are there: a buyer wanted them a moment ago.
local is_spread = (lent or '0') ~= '0'
if product and not refused and (product.held > 0 or is_spread) then refused = 'product_has_holds' end
if once_key then redis.call('SET', once_key, refused or 'product_not_found', 'PX', once_ms) end
if refused or not product then return { refused or 'product_not_found' } end

-- effects
redis.call('HDEL', stock_key, id, id .. ':earlier_prices', id .. ':lent', id .. ':copied')
redis.call('DEL', product_key)
if baggage_key then
  local _, name, metadata, price, units, _, _, _, _, max_per_hold, rules = unpack(row)
  redis.call('HSET', baggage_key, 'currency', currency, 'name', name, 'metadata', metadata, 'price', price,
    'total', units, 'max_per_hold', max_per_hold, 'rules', rules)
  baggage = redis.call('HGETALL', baggage_key)
  log_product_event('product.moved', row, now, row, 'moved_from', from, 'moved_to', to)
else
  log_product_event('product.deleted', row, now)
end
write_book()
return { 'removed', baggage }
