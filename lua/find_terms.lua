#!lua flags=no-writes
-- find_terms: reads what the first shard of a spread sale says of the sale and of one product, for its other shards.
--
-- uses   keys, clock, buckets, stock
-- KEYS   1 sale HASH, 2 stock HASH; for a product: 3 product HASH
-- ARGV   for a product: 1 product id
-- REPLY  sale_not_found
--        product_not_found
--        terms, number of the last write, the sale as a list; for a product also two lists of field and value: its
--          terms, and its record
-- cost   O(terms)
-- e.g.   KEYS = { 'sale', 'stock', 'product:1' }  ARGV = { '1' }
--        ->  { 'terms', '4102444800000005', { ... }, { 'price', '500000', ... }, { 'name', 'Item' } }

-- names
local product_key, id = KEYS[3], ARGV[1]
if #KEYS ~= 2 + #ARGV or #ARGV > 1 then
  return redis.error_reply('ERR find_terms: wrong number of keys or arguments')
end

-- What a shard has for itself.
local OWN = { last_write = true, last_freed = true, first_due = true, copied = true, shards = true }

-- facts
local last_write, exists = unpack(redis.call('HMGET', sale_key, 'last_write', 'hold_ms'))
local product = id and product_at(id)
local earlier_prices = id and redis.call('HGET', stock_key, id .. ':earlier_prices')

local sale, stored = {}, redis.call('HGETALL', sale_key)
for i = 1, #stored, 2 do
  if not OWN[stored[i]] then
    sale[#sale + 1] = stored[i]
    sale[#sale + 1] = stored[i + 1]
  end
end

-- decision
if not exists then return { 'sale_not_found' } end
if id and not product then return { 'product_not_found' } end
local reply = { 'terms', last_write, sale }
if id then
  reply[4] = { 'price', product.price, 'earlier_prices', earlier_prices or '', 'max_per_hold', int(product.max_per_hold),
    'rules', product.rules }
  reply[5] = redis.call('HGETALL', product_key)
end
return reply
