#!lua flags=allow-oom
-- cancel: cancels an order that is not paid, or that costs nothing. A pending or paid one gives its units back.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, prices, records, book, orders, reviews, payments
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 reviews ZSET, 10 review_records HASH, 11 resolved ZSET, 12 order STRING
-- ARGV   1 retention_ms, 2 most events to keep, 3 who cancels: customer or admin
-- REPLY  order_not_found, now                  its record is gone
--        order_not_cancellable, now, order     money came: it is paid, in_review, refund_required or refunded
--        already_cancelled, now, order
--        cancelled, now, order                 an expired one too; its units came back when it lapsed
-- cost   O(lines and payments)
-- e.g.   KEYS = { book, 'reviews', 'review_records', 'resolved', 'order:o1' }  ARGV = { 60000, 1000, 'customer' }
--        ->  { 'cancelled', 4102444800000, 'cancelled 4102444800000...' }

-- names
local order_key, by = KEYS[BOOK_KEYS + 4], ARGV[3]
if #KEYS ~= BOOK_KEYS + 4 or #ARGV ~= 3 then
  return redis.error_reply('ERR cancel: wrong number of keys or arguments')
end

-- facts
read_payment_terms()
local now = guarded_now(terms.last_write)
local order = order_at(order_key)

-- decision
if not order then return { 'order_not_found', now } end
if order.status == 'cancelled' and is_closed(order) then
  return { 'already_cancelled', now, order_text(order_key) }
end
local is_free = is_cancellable_free(order_key, order)
if not is_free and order.status ~= 'pending' and order.status ~= 'cancelled' then
  return { 'order_not_cancellable', now, order_text(order_key) }
end

-- effects: an order that a payment event cancelled is open to a late payment, and this closes it
local was_cancelled = order.status == 'cancelled'
if is_free then
  cancel_free(order_key, order, by, now)
elseif was_cancelled then
  change_order(order_key, 'cancelled_by', by)
else
  cancel_pending(order_key, order, by, now)
end
write_book()
return { was_cancelled and 'already_cancelled' or 'cancelled', now, order_text(order_key) }
