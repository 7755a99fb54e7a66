#!lua flags=allow-oom
-- settle: decides what payment events do to orders, or to holds that have no order yet, in the order of their arrival.
--
-- uses   clock, units, customers, holds, records, book, orders, reviews
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 reviews ZSET, 10 review_records HASH, 11 resolved ZSET; then for each event its hold STRING, order
--        HASH and once STRING
-- ARGV   1 retention_ms: how long an order that is not paid is kept after its payment deadline, 2 most events to keep,
--        3 once_ms: how long the id of an event is remembered; then for each event a text of lines: what happened (paid,
--        failed, cancelled, refunded, processing or ignored), fingerprint, event id, payment id or '', amount in
--        ten-thousandths or '', currency or '', id of the review that it would open
-- REPLY  behind                     lapsed units are left to reclaim: nothing was decided, call again
--        decided, now, and for each event its decision and the order: fields and values, one in each line, or ''
--          idempotency_key_reused   this event id came with another fingerprint
--          duplicate                this event id, or this payment, was settled before
--          review                   a person must look: kept in reviews, the order is unchanged
--          refund_required          captured, but the units are gone: recorded for a refund, and kept in reviews
--          ignored
--          applied
-- cost   O(lines of all orders + due buckets)
-- e.g.   KEYS = { book, 'reviews', 'review_records', 'resolved', 'hold:h1', 'order:h1', 'once:e2' }
--        ARGV = { 60000, 1000, 60000, 'paid\nfingerprint\ne2\npi_2\n1000000\nUSD\npaid-pi_2' }
--        ->  { 'decided', 4102444800000, 'applied', 'status\npaid\nlines\n1=2@500000...' }

-- names
local once_ms = ARGV[3]
local EVENT_KEYS, KEYS_OF_EVENT, EVENTS = BOOK_KEYS + 4, 3, 4
local EVENT = { 'what', 'fingerprint', 'event_id', 'payment', 'amount', 'currency', 'review_id' }
if #ARGV < EVENTS or #KEYS ~= EVENT_KEYS - 1 + KEYS_OF_EVENT * (#ARGV - EVENTS + 1) then
  return redis.error_reply('ERR settle: wrong number of keys or arguments')
end

local events, review_ids = {}, {}
for i = EVENTS, #ARGV do
  local event, key = from_lines(EVENT, ARGV[i]), EVENT_KEYS + (i - EVENTS) * KEYS_OF_EVENT
  if not event or event.review_id:find('\n', 1, true) then
    return redis.error_reply('ERR settle: an event has seven lines')
  end
  event.hold_key, event.order_key, event.once_key = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  events[#events + 1] = event
  review_ids[#review_ids + 1] = event.review_id
end

-- facts
local last_now, sale_currency, on_payment_failed, restock_refunds, payment_ms, payment_max_ms =
  unpack(redis.call('HMGET', sale_key, 'last_now', 'currency', 'on_payment_failed', 'restock_refunds', 'payment_ms',
    'payment_max_ms'))
local now = guarded_now(last_now)
if reclaim(now) then return { 'behind' } end
read_reviews(review_ids)

-- decision: in the book and in the reviews alone. Each effect answers the decision as a word
local remembered = {}

-- The id of a review is that of the payment, so several events about one payment open one review, and so does an event that
-- comes again after its once key has expired.
local function leave_to_review(event, reason)
  open_review(event.review_id, reason, { what = event.what, target = id_of(event.hold_key), event_id = event.event_id,
    payment = event.payment, amount = event.amount, currency = event.currency }, now)
  return 'review'
end

local function record_paid(event)
  change_order(event.order_key, 'status', 'paid', 'paid_at', int(now), 'payment', event.payment, 'captured', event.amount,
    'captured_currency', event.currency)
  log_order_event('order.paid', event.order_key, now)
  close_review(event.review_id, 'the order was paid by this payment after all', now)
  return 'applied'
end

local function require_refund(event, reason)
  change_order(event.order_key, 'status', 'refund_required', 'reason', reason, 'review', event.review_id,
    'payment', event.payment, 'captured', event.amount, 'captured_currency', event.currency)
  log_order_event('order.refund_required', event.order_key, now)
  reopen_review(event.review_id)
  leave_to_review(event, reason)
  return 'refund_required'
end

-- A value that one side does not name does not differ.
local function differs(one, other)
  return one ~= '' and (other or '') ~= '' and one ~= other
end

local function amount_differs(event, total, currency)
  return differs(event.amount, total) or differs(event.currency, currency)
end

local function pay_hold(event, _, hold)
  local quoted = quote(hold, sale_currency)
  if amount_differs(event, quoted.total, quoted.currency) then return leave_to_review(event, 'amount_mismatch') end
  create_order(event.hold_key, event.order_key, hold, quoted, now, now)
  each_line(hold.lines, function(product, units)
    plan_move(product, 'held', 'sold', units)
    plan_due_back(hold.customer, hold.deadline, product, 'h', -units, now)
    customer_buys(hold.customer, product, units, now)
  end)
  return record_paid(event)
end

local function cancel_hold(event, _, hold)
  release_hold(event.hold_key, hold, now)
  return 'applied'
end

local function pay_gone(event)
  add_order(event.order_key, { 'lines', '', 'created', int(now), 'due', int(now), 'customer', '' })
  return require_refund(event, 'hold_expired')
end

local function pay_pending(event, order)
  if amount_differs(event, order.total, order.currency) then return leave_to_review(event, 'amount_mismatch') end
  each_line(order.lines, function(product, units)
    plan_move(product, 'pending', 'sold', units)
    plan_due_back(order.customer, tonumber(order.due), product, 'p', -units, now)
    customer_buys(order.customer, product, units, now)
  end)
  return record_paid(event)
end

local function cancel_by_payment(event, order)
  cancel_pending(event.order_key, order, 'payment', now)
  return 'applied'
end

local function fail_pending(event, order)
  if on_payment_failed == 'keep' then return 'ignored' end
  return cancel_by_payment(event, order)
end

local function process_pending(event, order)
  if order.started_at then return 'ignored' end
  start_payment(event.order_key, order, tonumber(payment_ms), tonumber(payment_max_ms or payment_ms), now)
  return 'applied'
end

local function pay_late(event, order)
  if amount_differs(event, order.total, order.currency) then return leave_to_review(event, 'amount_mismatch') end
  local enough = true
  each_line(order.lines, function(product, units)
    if units > units_available(product) then enough = false end
  end)
  expire(event.order_key, order, now)
  if not enough then return require_refund(event, 'units_gone') end
  each_line(order.lines, function(product, units)
    plan_move(product, 'available', 'sold', units)
    customer_buys(order.customer, product, units, now)
  end)
  change_order(event.order_key, 'late', '1')
  return record_paid(event)
end

local function pay_cancelled(event)
  return require_refund(event, 'order_cancelled')
end

-- The same payment once more, or other money? When one side does not name the payment nobody can know, so a person looks.
local function pay_again(event, order)
  if event.payment ~= order.payment or amount_differs(event, order.captured, order.captured_currency) then
    return leave_to_review(event, 'duplicate_payment')
  end
  return 'duplicate'
end

-- A refund of other money, or of a part, leaves the order as it is.
local function refund_differs(event, order)
  local captured = order.captured ~= '' and order.captured or order.total
  local currency = order.captured_currency ~= '' and order.captured_currency or order.currency
  return differs(event.payment, order.payment) or amount_differs(event, captured, currency)
end

local function refund(event)
  change_order(event.order_key, 'status', 'refunded')
  log_order_event('order.refunded', event.order_key, now)
  return 'applied'
end

local function refund_paid(event, order)
  if refund_differs(event, order) then return leave_to_review(event, 'refund_mismatch') end
  local restocks = restock_refunds ~= '0'
  each_line(order.lines, function(product, units)
    if restocks then plan_move(product, 'sold', 'available', units) end
    customer_buys(order.customer, product, -units, now)
  end)
  change_order(event.order_key, 'restocked', restocks and '1' or '0')
  return refund(event)
end

local function refund_required(event, order)
  if refund_differs(event, order) then return leave_to_review(event, 'refund_mismatch') end
  refund(event)
  if order.review then close_review(order.review, 'the refund was reported', now) end
  return 'applied'
end

-- The truth table. Pairs that are not in it are ignored.
local TABLE = {
  live_hold       = { paid = pay_hold, cancelled = cancel_hold },
  gone            = { paid = pay_gone },
  pending         = { paid = pay_pending, failed = fail_pending, cancelled = cancel_by_payment,
    processing = process_pending },
  lapsed          = { paid = pay_late },
  cancelled       = { paid = pay_cancelled },
  paid            = { paid = pay_again, refunded = refund_paid },
  refund_required = { paid = pay_again, refunded = refund_required },
  refunded        = { paid = pay_again },
}

local function state(order, hold)
  if not order then return hold and 'live_hold' or 'gone' end
  if order.status == 'pending' then return has_lapsed(order, now) and 'lapsed' or 'pending' end
  if order.status == 'cancelled' then return order.cancelled_by == 'payment' and 'lapsed' or 'cancelled' end
  return order.status
end

local function decide(event)
  local settled_as = remembered[event.once_key] or redis.call('GET', event.once_key)
  if settled_as then return settled_as == event.fingerprint and 'duplicate' or 'idempotency_key_reused' end
  local order = order_at(event.order_key)
  local hold = not order and hold_at(event.hold_key, now)
  local effect = TABLE[state(order, hold)][event.what]
  remembered[event.once_key] = event.fingerprint
  return effect and effect(event, order, hold) or 'ignored'
end

local reply = { 'decided', now }
for _, event in ipairs(events) do
  reply[#reply + 1] = decide(event)
  order_at(event.order_key)
  reply[#reply + 1] = order_text(event.order_key)
end
if not next(remembered) then return reply end

-- effects
for once_key, fingerprint in pairs(remembered) do redis.call('SET', once_key, fingerprint, 'PX', once_ms) end
write_reviews(now)
write_book(now)
return reply
