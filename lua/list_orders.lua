#!lua flags=no-writes
-- list_orders: ids of a sale's orders by the time when they were made, those of one time by id.
--
-- uses   pages
-- KEYS   1 orders ZSET
-- ARGV   1 time and 2 id of the last order that was told before (0 and '': none), 3 most orders to tell
-- REPLY  orders, and for each its id and its time
-- cost   O(log orders + orders told + those of the same millisecond that were told before)

-- names
local orders_key, after_ms, after_id, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

-- facts
return { 'orders', unpack(page_of(orders_key, after_ms, after_id, most)) }
