#!lua
-- claim_product: takes a product id and fixes the sale that it belongs to, for ever.
-- Making a product is this claim and then put_product in the slot of the sale. After a crash in between, the same call with
-- an id finds its own claim and goes on. Without an id it takes the next one.
--
-- uses   nothing
-- KEYS   1 products HASH (product id -> sale)
-- ARGV   1 product id, or '' for the next free one; 2 sale, or '' for a sale of its own ('p<id>')
-- REPLY  already_exists          the id is taken by a product of another sale
--        claimed, id, sale
-- cost   O(1); without an id O(explicit ids above the count)
-- e.g.   KEYS = { 'products' }  ARGV = { '', '' }  ->  { 'claimed', '1', 'p1' }

-- names
local products_key, id, sale = KEYS[1], ARGV[1], ARGV[2]
if #KEYS ~= 1 or #ARGV ~= 2 then
  return redis.error_reply('ERR claim_product: wrong number of keys or arguments')
end

-- facts
if id == '' then
  local next_id = redis.call('HLEN', products_key) + 1
  while redis.call('HEXISTS', products_key, string.format('%d', next_id)) == 1 do next_id = next_id + 1 end
  id = string.format('%d', next_id)
end
if sale == '' then sale = 'p' .. id end
local claimed = redis.call('HGET', products_key, id)

-- decision
if claimed and claimed ~= sale then return { 'already_exists' } end

-- effects
redis.call('HSET', products_key, id, sale)
return { 'claimed', id, sale }
