#!lua flags=allow-oom
-- find_free: reads the units of a product in one shard of a sale. It writes only what has lapsed.
-- While `last_freed` stays the same, nothing comes to `available + lent` of this shard: a loan takes from one what it gives
-- to the other. So two looks at all shards show whether there was an instant without a free unit in any of them, or under
-- way.
--
-- uses   keys, clock, buckets, stock, units
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET
-- ARGV   1 product id
-- REPLY  behind               lapsed units are left to reclaim, call again
--        product_not_found
--        free, now, last_freed, available, coming back (held + pending), next release in ms or 0, lent
--        Lent are the units of this shard that others have or that are under way, less those of others here.
-- cost   O(1 + due buckets)
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines' }  ARGV = { '1' }
--        ->  { 'free', 4102444800000, 4102444800000001, 7, 3, 4102444850000, 0 }

-- names
local id = ARGV[1]
if #KEYS ~= 4 or #ARGV ~= 1 then
  return redis.error_reply('ERR find_free: wrong number of keys or arguments')
end

-- facts
local last_write, known_due = unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due'))
local now = guarded_now(last_write)
if reclaim(now, known_due) then return { 'behind' } end
local last_freed = tonumber(redis.call('HGET', sale_key, FREED) or 0)
local product = product_at(id)
local lent = redis.call('HGET', stock_key, id .. ':lent')

-- decision
if not product then return { 'product_not_found' } end
local coming_back = product.held + product.pending
return { 'free', now, last_freed, product.available, coming_back, coming_back > 0 and next_release(id) or 0,
  tonumber(lent or 0) }
