#!lua flags=no-writes
-- find_due: pending orders of a sale whose deadline has passed and of which nobody has said so yet.
--
-- uses   clock
-- KEYS   1 sale HASH, 2 due ZSET
-- ARGV   1 most ids to give
-- REPLY  due, and their ids
-- cost   O(log pending orders + ids)

-- names
local sale_key, due_key, most = KEYS[1], KEYS[2], ARGV[1]

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_now'))
local ids = redis.call('ZRANGE', due_key, '-inf', '(' .. int(now), 'BYSCORE', 'LIMIT', 0, most)
return { 'due', unpack(ids) }
