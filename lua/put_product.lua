#!lua
-- put_product: adds a product to a sale. A sale that does not exist is made with the default terms.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, records, book, products, sales
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 product HASH
-- ARGV   1 retention_ms, 2 most events to keep, 3 product id, 4 name, 5 metadata or '', 6 price in ten-thousandths,
--        7 currency, 8 total units, 9 max_per_hold, 10 rules (lib/rules), 11 number of shards of the sale or '' for one,
--        then field and value of each term of a new sale
-- REPLY  already_exists                 there is a product of this id
--        shards_differ                  the sale was made a moment ago, with another number of shards
--        currency_differs, currency     all products of a sale have the sale's currency
--        created, now, currency, starts, ends, paused, product row, 1 where the sale was made with it, else 0
-- cost   O(1)
-- e.g.   KEYS = { book, 'product:3' }  ARGV = { 60000, 1000, '3', 'Cap', '', 190000, 'USD', 50, 2, '', '' }
--        ->  { 'created', 4102444800000, 'USD', '', '', '0', { '3', 'Cap', '', '190000', '50', '50', ... }, 0 }

-- names
local product_key = KEYS[BOOK_KEYS + 1]
local id, name, metadata, price, currency = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local total, max_per_hold, rules, shards = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local TERMS = 12
if #KEYS ~= BOOK_KEYS + 1 or #ARGV < TERMS - 1 or #ARGV % 2 == 0 then
  return redis.error_reply('ERR put_product: wrong number of keys or arguments')
end

-- facts
local last_write, sale_exists, sale_currency, sale_shards =
  unpack(redis.call('HMGET', sale_key, 'last_write', 'hold_ms', 'currency', 'shards'))
local now = guarded_now(last_write)
-- A product whose units were lost exists too: buyers may have been promised its units.
local exists = redis.call('HEXISTS', stock_key, id) == 1 or redis.call('EXISTS', product_key) == 1

-- decision
if exists then return { 'already_exists' } end
if sale_exists and (sale_shards or '') ~= shards then return { 'shards_differ' } end
if sale_currency and sale_currency ~= currency then return { 'currency_differs', sale_currency } end

-- effects
if not sale_exists then make_sale({ unpack(ARGV, TERMS) }) end
redis.call('HSET', sale_key, 'currency', currency)
if not sale_exists then log_sale_event('sale.created', now) end
write_new_product(product_key, id, name, metadata, price, total, max_per_hold, rules)
local row = product_row(id, product_key)
log_product_event('product.created', row, now)
write_book()
local starts, ends, paused = unpack(redis.call('HMGET', sale_key, 'starts', 'ends', 'paused'))
return { 'created', now, currency, starts, ends, paused, row, sale_exists and 0 or 1 }
