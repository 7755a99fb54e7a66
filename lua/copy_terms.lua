#!lua
-- copy_terms: gives a shard the terms of its sale, and of one product, as the first shard has them. A product that the shard
-- does not have comes without units. An older copy that comes late changes nothing.
--
-- uses   keys, clock, buckets, stock
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET; for a product: 5 product HASH
-- ARGV   1 number of the last write of the first shard when it was read, 2 product id or '', 3 how many of the next are of
--        the sale, 4 how many are terms of the product; then field and value of each: those of the sale, of the product, and
--        of its record
-- REPLY  copied
-- cost   O(terms)
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines' }  ARGV = { 5, '', 1, 0, 'paused', '1' }  ->  { 'copied' }

-- names
local product_key, as_of, id = KEYS[5], tonumber(ARGV[1]), ARGV[2]
local of_sale, of_product = tonumber(ARGV[3]), tonumber(ARGV[4])
local FIELDS = 5
if #KEYS ~= (id ~= '' and 5 or 4) or #ARGV < FIELDS - 1 or #ARGV % 2 ~= 0 then
  return redis.error_reply('ERR copy_terms: wrong number of keys or arguments')
end

-- Fields and values, so many pairs from there on.
local function pairs_from(first, count)
  return { unpack(ARGV, first, first + 2 * count - 1) }
end

local sale_terms, next_pair = pairs_from(FIELDS, of_sale), FIELDS + 2 * of_sale
local product_terms = pairs_from(next_pair, of_product)
local record = { unpack(ARGV, next_pair + 2 * of_product) }

-- facts
local last_write, sale_copied = unpack(redis.call('HMGET', sale_key, 'last_write', 'copied'))
guarded_now(last_write)
local product_copied = redis.call('HGET', stock_key, id .. ':copied')
local is_new_sale = as_of > tonumber(sale_copied or 0)
local product = id ~= '' and product_at(id)
-- Units that somebody made unreadable are for a person. To write the product anew would forget them.
local is_readable = product or redis.call('HEXISTS', stock_key, id) == 0
local is_new_product = id ~= '' and is_readable and as_of > tonumber(product_copied or 0)

-- decision
if not is_new_sale and not is_new_product then return { 'copied' } end

-- effects
-- With first_due 0 a new shard looks for what is due, once.
if is_new_sale then redis.call('HSET', sale_key, 'copied', int(as_of), 'first_due', 0, unpack(sale_terms)) end
if is_new_product then
  product = product or { available = 0, held = 0, pending = 0, sold = 0, total = 0 }
  for i = 1, #product_terms, 2 do product[product_terms[i]] = product_terms[i + 1] end
  redis.call('HSET', stock_key, id, product_text(product), id .. ':copied', int(as_of))
  redis.call('HSET', stock_key, id .. ':earlier_prices', product.earlier_prices)
  redis.call('DEL', product_key)
  redis.call('HSET', product_key, unpack(record))
end
stamp()
return { 'copied' }
