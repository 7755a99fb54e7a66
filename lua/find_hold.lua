#!lua flags=no-writes
-- find_hold: a hold as it stands.
--
-- uses   clock, records
-- KEYS   1 sale HASH, 2 hold STRING, 3 order HASH
-- ARGV   none
-- REPLY  converted, now, order                   it became an order
--        hold_expired, now                       it lapsed or was released
--        active, now, deadline, lines, customer
-- cost   O(1)

-- names
local sale_key, hold_key, order_key = KEYS[1], KEYS[2], KEYS[3]

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_now'))
local converted = redis.call('EXISTS', order_key) == 1
local hold = live_hold(hold_key, now)

-- decision
if converted then return order_reply('converted', now, order_key) end
if not hold then return { 'hold_expired', now } end
return { 'active', now, hold.deadline, hold.lines, hold.customer }
