#!lua flags=no-writes
-- find_hold: reads a hold.
--
-- uses   clock, holds
-- KEYS   1 sale HASH, 2 hold STRING, 3 order HASH
-- ARGV   none
-- REPLY  converted, now, order                   it became an order
--        hold_expired, now                       it lapsed or was released
--        active, now, deadline, lines, customer
-- cost   O(1)
-- e.g.   KEYS = { 'sale', 'hold:h1', 'order:h1' }  ARGV = {}  ->  { 'active', 4102444800000, 4102444900000, '1=2', 'alice' }

-- names
local sale_key, hold_key, order_key = KEYS[1], KEYS[2], KEYS[3]
if #KEYS ~= 3 or #ARGV ~= 0 then
  return redis.error_reply('ERR find_hold: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_now'))
local order = redis.call('HGETALL', order_key)
local hold = live_hold(hold_key, now)

-- decision
if #order > 0 then return { 'converted', now, order } end
if not hold then return { 'hold_expired', now } end
return { 'active', now, hold.deadline, hold.lines, hold.customer }
