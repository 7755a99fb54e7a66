#!lua flags=no-writes
-- find_due: lists pending orders of a sale whose deadline has passed and is not recorded as passed yet.
--
-- uses   clock
-- KEYS   1 sale HASH, 2 due ZSET
-- ARGV   1 most ids to answer
-- REPLY  due, and their ids
-- cost   O(log pending orders + ids)
-- e.g.   KEYS = { 'sale', 'due' }  ARGV = { 64 }  ->  { 'due', 'o1' }

-- names
local sale_key, due_key, most = KEYS[1], KEYS[2], ARGV[1]
if #KEYS ~= 2 or #ARGV ~= 1 then
  return redis.error_reply('ERR find_due: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_write'))
local ids = redis.call('ZRANGE', due_key, '-inf', '(' .. int(now), 'BYSCORE', 'LIMIT', 0, most)
return { 'due', unpack(ids) }
