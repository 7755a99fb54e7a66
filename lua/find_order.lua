#!lua flags=no-writes
-- find_order: an order as it stands; that a pending one has expired follows from now and its due time.
--
-- uses   clock, records
-- KEYS   1 sale HASH, 2 order HASH
-- ARGV   none
-- REPLY  order_not_found, now     its record is gone
--        found, now, order
-- cost   O(1)

-- names
local sale_key, order_key = KEYS[1], KEYS[2]

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_now'))

-- decision
if redis.call('EXISTS', order_key) == 0 then return { 'order_not_found', now } end
return order_reply('found', now, order_key)
