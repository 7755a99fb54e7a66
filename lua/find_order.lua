#!lua flags=no-writes
-- find_order: reads an order. That a pending one has lapsed follows from now and its due time.
--
-- uses   clock
-- KEYS   1 sale HASH, 2 order STRING
-- ARGV   none
-- REPLY  order_not_found, now     its record is gone
--        found, now, order
-- cost   O(1)
-- e.g.   KEYS = { 'sale', 'order:o1' }  ARGV = {}
--        ->  { 'found', 4102444800000, 'pending 4102444800000 50000 100000 1=1@500000 USD' }

-- names
local sale_key, order_key = KEYS[1], KEYS[2]
if #KEYS ~= 2 or #ARGV ~= 0 then
  return redis.error_reply('ERR find_order: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_write'))
local order = redis.call('GET', order_key)

-- decision
if not order then return { 'order_not_found', now } end
return { 'found', now, order }
