#!lua flags=allow-oom
-- lend: takes free units of a product out of a shard, for another shard of the sale that lacks them. `borrow` adds them
-- there.
-- What a shard ever lent to another one is a sum that only grows. What is lent and not borrowed yet is under way, and anyone
-- can bring it to its end.
--
-- uses   keys, clock, buckets, stock, units
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 loans HASH
-- ARGV   1 product id, 2 the shard that gets them, 3 most units
-- REPLY  behind                   lapsed units are left to reclaim, call again
--        product_not_found
--        lent, units, all units that this shard ever lent to that one
-- cost   O(1 + due buckets)
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines', 'loans' }  ARGV = { '1', 's_2', 5 }  ->  { 'lent', 5, 5 }

-- names
local loans_key, id, to, most = KEYS[5], ARGV[1], ARGV[2], tonumber(ARGV[3])
if #KEYS ~= 5 or #ARGV ~= 3 then
  return redis.error_reply('ERR lend: wrong number of keys or arguments')
end

-- facts
local last_write, known_due = unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due'))
local now = guarded_now(last_write)
if reclaim(now, known_due) then return { 'behind' } end
local product = product_at(id)
local loan = id .. ':lent:' .. to
local lent = tonumber(redis.call('HGET', loans_key, loan) or 0)

-- decision
if not product then return { 'product_not_found' } end
local units = math.min(product.available, most)
if units < 1 then return { 'lent', 0, lent } end

-- effects
add_units(id, 'available', -units)
add_units(id, 'total', -units)
write_products()
redis.call('HINCRBY', stock_key, id .. ':lent', int(units))
redis.call('HSET', loans_key, loan, int(lent + units))
stamp()
return { 'lent', units, lent + units }
