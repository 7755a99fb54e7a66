#!lua flags=allow-oom
-- cancel: cancels an order that is not paid. A pending one gives its units back.
--
-- uses   clock, units, customers, holds, prices, records, book, orders
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 order HASH
-- ARGV   1 retention_ms, 2 most events to keep, 3 who cancels: customer or admin
-- REPLY  order_not_found, now                  its record is gone
--        order_not_cancellable, now, order     it is paid, refund_required or refunded
--        already_cancelled, now, order
--        cancelled, now, order                 an expired one too; its units came back when it lapsed
-- cost   O(lines)
-- e.g.   KEYS = { book, 'order:o1' }  ARGV = { 60000, 1000, 'customer' }
--        ->  { 'cancelled', 4102444800000, 'status\ncancelled\nlines\n1=1@500000...' }

-- names
local order_key, by = KEYS[BOOK_KEYS + 1], ARGV[3]
if #KEYS ~= BOOK_KEYS + 1 or #ARGV ~= 3 then
  return redis.error_reply('ERR cancel: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_now'))
local order = order_at(order_key)

-- decision
if not order then return { 'order_not_found', now } end
if order.status == 'cancelled' and is_closed(order) then
  return { 'already_cancelled', now, order_text(order_key) }
end
if order.status ~= 'pending' and order.status ~= 'cancelled' then
  return { 'order_not_cancellable', now, order_text(order_key) }
end

-- effects: an order that a payment event cancelled is open to a late payment, and this closes it
local was_pending = order.status == 'pending'
if was_pending then
  cancel_pending(order_key, order, by, now)
else
  change_order(order_key, 'cancelled_by', by)
end
write_book(now)
return { was_pending and 'cancelled' or 'already_cancelled', now, order_text(order_key) }
