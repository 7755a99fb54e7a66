#!lua flags=no-writes
-- read_orders: many orders of a sale as they stand.
--
-- uses   clock, records
-- KEYS   1 sale HASH; then order HASHes
-- ARGV   none
-- REPLY  orders, now, and for each its fields as a list, which is empty when its record is gone
-- cost   O(orders)

-- names
local sale_key = KEYS[1]

-- facts
local reply = { 'orders', guarded_now(redis.call('HGET', sale_key, 'last_now')) }
for i = 2, #KEYS do reply[i + 1] = redis.call('HGETALL', KEYS[i]) end
return reply
