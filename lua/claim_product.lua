#!lua
-- claim_product: takes a product id, and a SKU, and fixes the sale that the product belongs to.
-- Making a product is this claim and then put_product in the slot of the sale. After a crash in between, the same call finds
-- its own claim and goes on, by its id or by its SKU. Without either it takes the next id. The id of a deleted product goes
-- to a product of the same SKU alone, because workers may remember the SKU of an id.
--
-- uses   nothing
-- KEYS   1 products HASH (product id -> '<sale>' or '<sale> <SKU>'; '~' in front: a deletion began; '+': its SKU is new;
--        '!' or '! <SKU>': it was deleted; '<sale>><sale>#<move> <SKU>': it moves; '<sale>*3': a sale of three shards),
--        2 skus HASH (SKU -> product id)
-- ARGV   1 product id, or '' for that of the SKU, else the next free one; 2 sale, or '' for a sale of its own ('p<id>');
--        3 SKU, or ''; 4 '*' and the number of shards of the sale, or '' for one
-- REPLY  already_exists, id      the product with this id has the id or the SKU, and is another one
--        claimed, id, sale
-- cost   O(1); without an id O(explicit ids above the count)
-- e.g.   KEYS = { 'products', 'skus' }  ARGV = { '', '', 'AIR-38', '' }  ->  { 'claimed', '1', 'p1' }

-- names
local products_key, skus_key, id, sale, sku, shards = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if #KEYS ~= 2 or #ARGV ~= 4 then
  return redis.error_reply('ERR claim_product: wrong number of keys or arguments')
end

-- facts
local owner = sku ~= '' and redis.call('HGET', skus_key, sku)
if id == '' then id = owner or '' end
if id == '' then
  local next_id = redis.call('HLEN', products_key) + 1
  while redis.call('HEXISTS', products_key, string.format('%d', next_id)) == 1 do next_id = next_id + 1 end
  id = string.format('%d', next_id)
end
if sale == '' then sale = 'p' .. id end
local entry = sale .. shards .. (sku ~= '' and ' ' .. sku or '')
local claimed = redis.call('HGET', products_key, id)

-- decision
if owner and owner ~= id then return { 'already_exists', owner } end
local is_deleted = claimed == (sku ~= '' and '! ' .. sku or '!')
if claimed and claimed ~= entry and claimed ~= '~' .. entry and not is_deleted then return { 'already_exists', id } end

-- effects
redis.call('HSET', products_key, id, entry)
if sku ~= '' then redis.call('HSET', skus_key, sku, id) end
return { 'claimed', id, sale }
