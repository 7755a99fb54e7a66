#!lua flags=allow-oom
-- start_payment: moves the deadline of a pending order once, up to the sale's cap, because the buyer is paying.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, prices, records, book, orders
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 order STRING
-- ARGV   1 retention_ms, 2 most events to keep
-- REPLY  order_not_found, now             its record is gone
--        order_not_pending, now, order    it lapsed, was cancelled, or money came
--        already_started, now, order
--        started, now, order
-- cost   O(lines)
-- e.g.   KEYS = { book, 'order:o1' }  ARGV = { 60000, 1000 }  ->  { 'started', 4102444800000, 'pending...' }

-- names
local order_key = KEYS[BOOK_KEYS + 1]
if #KEYS ~= BOOK_KEYS + 1 or #ARGV ~= 2 then
  return redis.error_reply('ERR start_payment: wrong number of keys or arguments')
end

-- facts
local last_write, payment_ms, payment_max_ms =
  unpack(redis.call('HMGET', sale_key, 'last_write', 'payment_ms', 'payment_max_ms'))
local now = guarded_now(last_write)
local order = order_at(order_key)

-- decision
if not order then return { 'order_not_found', now } end
if order.status ~= 'pending' or has_lapsed(order, now) then return { 'order_not_pending', now, order_text(order_key) } end
if order.started_at then return { 'already_started', now, order_text(order_key) } end

-- effects
start_payment(order_key, order, tonumber(payment_ms), tonumber(payment_max_ms or payment_ms), now)
write_book()
return { 'started', now, order_text(order_key) }
