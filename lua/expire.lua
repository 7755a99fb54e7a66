#!lua flags=allow-oom
-- expire: records that pending orders have lapsed, once, with an event for each. It changes no stock but what is due anyway.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, prices, records, book, orders
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET; then order STRINGs
-- ARGV   1 retention_ms, 2 most events to keep
-- REPLY  behind            lapsed units are left to reclaim: nothing was decided, call again
--        expired, number   how many of these orders were recorded as lapsed now
-- cost   O(orders + due buckets)
-- e.g.   KEYS = { book, 'order:o1' }  ARGV = { 60000, 1000 }  ->  { 'expired', 1 }

-- names
local ORDERS = BOOK_KEYS + 1
if #KEYS < BOOK_KEYS or #ARGV ~= 2 then
  return redis.error_reply('ERR expire: wrong number of keys or arguments')
end

-- facts
local last_write, known_due = unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due'))
local now = guarded_now(last_write)
if reclaim(now, known_due) then return { 'behind' } end

-- decision: in the book alone
local count, gone = 0, {}
for i = ORDERS, #KEYS do
  local order = order_at(KEYS[i])
  if not order then gone[#gone + 1] = id_of(KEYS[i]) end
  if order and expire(KEYS[i], order, now) then count = count + 1 end
end

-- effects
if #gone > 0 then redis.call('ZREM', due_key, unpack(gone)) end
if count > 0 then write_book() end
return { 'expired', count }
