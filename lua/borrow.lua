#!lua flags=allow-oom
-- borrow: adds the units of a product that another shard of the sale lent to this one, each unit once, however often it is
-- called.
--
-- uses   keys, clock, buckets, stock
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 loans HASH
-- ARGV   1 product id, 2 the shard that lent them, 3 all units that it ever lent to this one
-- REPLY  product_not_found
--        borrowed, units          0: they were here already
-- cost   O(1)
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines', 'loans' }  ARGV = { '1', 's_2', 5 }  ->  { 'borrowed', 5 }

-- names
local loans_key, id, from, lent = KEYS[5], ARGV[1], ARGV[2], tonumber(ARGV[3])
if #KEYS ~= 5 or #ARGV ~= 3 then
  return redis.error_reply('ERR borrow: wrong number of keys or arguments')
end

-- facts
guarded_now(redis.call('HGET', sale_key, 'last_write'))
local product = product_at(id)
local loan = id .. ':borrowed:' .. from
local units = lent - (redis.call('HGET', loans_key, loan) or 0)

-- decision
if not product then return { 'product_not_found' } end
if units < 1 then return { 'borrowed', 0 } end

-- effects
add_units(id, 'available', units)
add_units(id, 'total', units)
write_products()
redis.call('HINCRBY', stock_key, id .. ':lent', int(-units))
redis.call('HSET', loans_key, loan, int(lent))
stamp()
return { 'borrowed', units }
