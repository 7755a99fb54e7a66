#!lua
-- arrive_product: puts a product that moves into its new sale, once for each move. remove_product took it out of the other.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, records, book, products, sales
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 product HASH, 10 once STRING
-- ARGV   1 retention_ms, 2 most events to keep, 3 product id, 4 the other sale, 5 this sale, 6 once_ms, 7 currency, 8 name,
--        9 metadata or '', 10 price in ten-thousandths, 11 total units, 12 max_per_hold, 13 rules (lib/rules)
-- REPLY  currency_differs         all products of a sale have the sale's currency; a move that is refused stays refused
--        arrived                  now, or in an earlier call
-- cost   O(1)
-- e.g.   KEYS = { book, 'product:3', 'once:move-m' }
--        ARGV = { 60000, 1000, '3', 'drop', 's', 60000, 'USD', 'Cap', '', 190000, 50, 2, '' }  ->  { 'arrived' }

-- names
local product_key, once_key = KEYS[BOOK_KEYS + 1], KEYS[BOOK_KEYS + 2]
local id, from, to, once_ms, currency, name, metadata = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local price, total, max_per_hold, rules = ARGV[10], ARGV[11], ARGV[12], ARGV[13]
if #KEYS ~= BOOK_KEYS + 2 or #ARGV ~= 13 then
  return redis.error_reply('ERR arrive_product: wrong number of keys or arguments')
end

-- facts
local last_write, sale_currency = unpack(redis.call('HMGET', sale_key, 'last_write', 'currency'))
local now = guarded_now(last_write)
local exists = redis.call('HEXISTS', stock_key, id) == 1
local earlier = redis.call('GET', once_key)

-- decision
if earlier or exists then return { earlier or 'arrived' } end
local decided = sale_currency and sale_currency ~= currency and 'currency_differs' or 'arrived'
redis.call('SET', once_key, decided, 'PX', once_ms)
if decided ~= 'arrived' then return { decided } end

-- effects
redis.call('HSET', sale_key, 'currency', currency)
write_new_product(product_key, id, name, metadata, price, total, max_per_hold, rules)
local row = product_row(id, product_key)
log_product_event('product.moved', row, now, row, 'moved_from', from, 'moved_to', to)
write_book()
return { decided }
