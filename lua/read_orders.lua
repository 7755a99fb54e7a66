#!lua flags=no-writes
-- read_orders: reads many orders of a sale.
--
-- uses   clock
-- KEYS   1 sale HASH; then order STRINGs
-- ARGV   none
-- REPLY  orders, now, and for each its text, or '' when its record is gone
-- cost   O(orders)
-- e.g.   KEYS = { 'sale', 'order:o1', 'order:lost' }  ARGV = {}
--        ->  { 'orders', 4102444800000, 'pending...', '' }

-- names
local sale_key = KEYS[1]
local ORDERS = 2
if #KEYS < 1 or #ARGV ~= 0 then
  return redis.error_reply('ERR read_orders: wrong number of keys or arguments')
end

-- facts
local reply = { 'orders', guarded_now(redis.call('HGET', sale_key, 'last_write')) }
for i = ORDERS, #KEYS do reply[i + 1] = redis.call('GET', KEYS[i]) or '' end
return reply
