#!lua flags=no-writes
-- find_terms: reads what the first shard of a spread sale says of the sale and of one product, for its other shards.
--
-- uses   nothing
-- KEYS   1 sale HASH, 2 stock HASH; for a product: 3 product HASH
-- ARGV   for a product: 1 product id
-- REPLY  sale_not_found
--        product_not_found
--        terms, number of the last write, the sale as a list; for a product also two lists of field and value: its terms in
--          `stock`, and its record
-- cost   O(terms)
-- e.g.   KEYS = { 'sale', 'stock', 'product:1' }  ARGV = { '1' }
--        ->  { 'terms', '4102444800000005', { ... }, { '1:price', '500000', ... }, { 'name', 'Item' } }

-- names
local sale_key, stock_key, product_key, id = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
if #KEYS ~= 2 + #ARGV or #ARGV > 1 then
  return redis.error_reply('ERR find_terms: wrong number of keys or arguments')
end

-- What a shard has for itself.
local OWN = { last_write = true, last_freed = true, copied = true, shards = true }

-- facts
local last_write, exists = unpack(redis.call('HMGET', sale_key, 'last_write', 'hold_ms'))
local product = {}
for _, name in ipairs(id and { 'price', 'earlier_prices', 'max_per_hold', 'rules' } or {}) do
  local value = redis.call('HGET', stock_key, id .. ':' .. name)
  if value then
    product[#product + 1] = id .. ':' .. name
    product[#product + 1] = value
  end
end

local sale, stored = {}, redis.call('HGETALL', sale_key)
for i = 1, #stored, 2 do
  if not OWN[stored[i]] then
    sale[#sale + 1] = stored[i]
    sale[#sale + 1] = stored[i + 1]
  end
end

-- decision
if not exists then return { 'sale_not_found' } end
if id and #product == 0 then return { 'product_not_found' } end
local reply = { 'terms', last_write, sale }
if id then
  reply[4] = product
  reply[5] = redis.call('HGETALL', product_key)
end
return reply
