#!lua
-- change_listing: changes the entry of a product in the directory, if it still is what the caller read.
-- Deleting and moving a product, and giving it a SKU, are several calls in two slots. Each of them that is done leaves its
-- mark in the entry, so a call that begins anew goes on where the one before ended.
--
-- uses   nothing
-- KEYS   1 products HASH (product id -> entry), 2 skus HASH (SKU -> product id)
-- ARGV   1 product id, 2 its entry, 3 its new entry, 4 a SKU to take or '', 5 a SKU to give back or ''
-- REPLY  moved                    the entry is another one
--        already_exists, id       the product with this id has the SKU
--        changed                  also when the entry was the new one
-- cost   O(1)
-- e.g.   KEYS = { 'products', 'skus' }  ARGV = { '9', '', 'drop AIR-38', 'AIR-38', '' }  ->  { 'moved' }

-- names
local products_key, skus_key = KEYS[1], KEYS[2]
local id, before, after, taken, given_back = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if #KEYS ~= 2 or #ARGV ~= 5 then
  return redis.error_reply('ERR change_listing: wrong number of keys or arguments')
end

-- facts
local entry = redis.call('HGET', products_key, id)
local owner = taken ~= '' and redis.call('HGET', skus_key, taken)

-- decision
if entry ~= before and entry ~= after then return { 'moved' } end
if owner and owner ~= id then return { 'already_exists', owner } end

-- effects
redis.call('HSET', products_key, id, after)
if taken ~= '' then redis.call('HSET', skus_key, taken, id) end
if given_back ~= '' and redis.call('HGET', skus_key, given_back) == id then redis.call('HDEL', skus_key, given_back) end
return { 'changed' }
