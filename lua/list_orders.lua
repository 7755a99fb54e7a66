#!lua flags=no-writes
-- list_orders: lists ids of a sale's orders by the time when they were made, those of one time by id.
--
-- uses   pages
-- KEYS   1 orders ZSET
-- ARGV   1 time and 2 id of the last order of the page before (0 and '': none), 3 most orders to answer
-- REPLY  orders, and for each its id and its time
-- cost   O(log orders + orders answered + those of the same millisecond on earlier pages)
-- e.g.   KEYS = { 'orders' }  ARGV = { 4102444800000, 'gone', 100 }  ->  { 'orders', 'o1', '4102444800000' }

-- names
local orders_key, after_ms, after_id, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
if #KEYS ~= 1 or #ARGV ~= 3 then
  return redis.error_reply('ERR list_orders: wrong number of keys or arguments')
end

-- facts
return { 'orders', unpack(page_of(orders_key, after_ms, after_id, most)) }
