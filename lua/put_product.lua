#!lua
-- put_product: adds a product to a sale; the first product of a sale makes the sale.
--
-- uses   nothing
-- KEYS   1 sale HASH, 2 stock HASH, 3 product HASH
-- ARGV   1 product id, 2 name, 3 price in ten-thousandths, 4 currency, 5 total units, 6 max_per_hold,
--        for a new sale: 7 hold_ms, 8 hold_max_ms, 9 payment_ms, 10 payment_max_ms
-- REPLY  already_exists                 a product of this id is there
--        currency_differs, currency     all products of a sale have the sale's currency
--        created
-- cost   O(1)

-- names
local sale_key, stock_key, product_key = KEYS[1], KEYS[2], KEYS[3]
local id, name, price, currency, total, max_per_hold = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local hold_ms, hold_max_ms, payment_ms, payment_max_ms = ARGV[7], ARGV[8], ARGV[9], ARGV[10]

-- facts
local exists = redis.call('HEXISTS', stock_key, id .. ':total') == 1
local sale_currency = redis.call('HGET', sale_key, 'currency')

-- decision
if exists then return { 'already_exists' } end
if sale_currency and sale_currency ~= currency then return { 'currency_differs', sale_currency } end

-- effects
if not sale_currency then
  redis.call('HSET', sale_key, 'currency', currency, 'hold_ms', hold_ms, 'hold_max_ms', hold_max_ms,
    'payment_ms', payment_ms, 'payment_max_ms', payment_max_ms, 'on_payment_failed', 'release', 'restock_refunds', '1')
end
redis.call('HSET', product_key, 'name', name)
redis.call('HSET', stock_key, id .. ':price', price, id .. ':total', total, id .. ':available', total,
  id .. ':held', 0, id .. ':pending', 0, id .. ':sold', 0, id .. ':max_per_hold', max_per_hold)
return { 'created' }
