#!lua flags=no-writes
-- audit_units: reads counters, buckets and deadlines of a sale, all of one instant.
--
-- uses   clock
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET
-- ARGV   1 most fields and members to answer
-- REPLY  too_many, now, last_write     there are more: read them page by page instead
--        units, now, last_write, stock and lapses as lists of field and value, deadlines as a list of member and score
-- cost   O(fields and members)
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines' }  ARGV = { 2048 }
--        ->  { 'units', 4102444800000, 4102444800000005, { '1', '7 2 1 0 10 500000 5 ', ... },
--              { '4102444900000:1:h', '2', ... }, { '4102444850000:1:p', '4102444850000', ... } }

-- names
local sale_key, stock_key, lapses_key, deadlines_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local most = tonumber(ARGV[1])
if #KEYS ~= 4 or #ARGV ~= 1 then
  return redis.error_reply('ERR audit_units: wrong number of keys or arguments')
end

-- facts
local last_write = tonumber(redis.call('HGET', sale_key, 'last_write') or 0)
local now = guarded_now(last_write)
local size = redis.call('HLEN', stock_key) + redis.call('HLEN', lapses_key) + redis.call('ZCARD', deadlines_key)

-- decision
if size > most then return { 'too_many', now, last_write } end
return { 'units', now, last_write, redis.call('HGETALL', stock_key), redis.call('HGETALL', lapses_key),
  redis.call('ZRANGE', deadlines_key, 0, -1, 'WITHSCORES') }
