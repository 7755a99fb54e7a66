#!lua flags=no-writes
-- find_hold: reads a hold.
--
-- uses   keys, clock, buckets, stock, holds, prices, records, costs
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 hold STRING, 6 order STRING
-- ARGV   none
-- REPLY  converted, now, order                   it became an order
--        hold_expired, now                       it lapsed or was released
--        active, now, deadline, lines, customer, metadata or '', costs
--        Costs are '<currency> <prices>', what one unit of each line costs.
-- cost   O(lines)
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines', 'hold:h1', 'order:h1' }  ARGV = {}
--        ->  { 'active', 4102444800000, 4102444900000, '1=2', 'alice', '', 'USD 500000' }

-- names
local hold_key, order_key = KEYS[5], KEYS[6]
if #KEYS ~= 6 or #ARGV ~= 0 then
  return redis.error_reply('ERR find_hold: wrong number of keys or arguments')
end

-- facts
local last_write, currency = unpack(redis.call('HMGET', sale_key, 'last_write', 'currency'))
local now = guarded_now(last_write)
local order = redis.call('GET', order_key)
local hold = live_hold(hold_key, now)

-- decision
if order then return { 'converted', now, order } end
if not hold then return { 'hold_expired', now } end
return { 'active', now, hold.deadline, hold.lines, hold.customer, hold.metadata, costs_of(hold, currency) }
