#!lua flags=allow-oom
-- settle: decides what payment events do to orders, or to holds that have no order yet, in the order of their arrival.
--
-- uses   clock, units, customers, records, book, orders, reviews
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 reviews ZSET, 10 review_records HASH, 11 resolved ZSET; then for each event its hold STRING, order
--        HASH and once STRING
-- ARGV   1 retention_ms: how long an order that is not paid is kept after its payment deadline, 2 most events to keep,
--        3 once_ms: how long the id of an event is remembered; then for each event a text of lines: what happened (paid,
--        failed, cancelled, refunded, processing or ignored), fingerprint, event id, payment id or '', amount in
--        ten-thousandths or '', currency or '', id of the review that it would open
-- REPLY  behind                     lapsed units are left to reclaim: nothing was decided, call again
--        decided, now, and for each event how it was decided and the order: fields and values, a line each; empty when there is none
--          idempotency_key_reused   this event id came with another fingerprint
--          duplicate                this event id, or this payment, was settled before
--          review                   a person must look: kept in reviews, the order is unchanged
--          refund_required          captured, but the units are gone: recorded for a refund, and kept in reviews
--          ignored
--          applied
-- cost   O(lines of all orders + due buckets)

-- names
local once_ms = ARGV[3]
local FIRST, EACH, TEXTS = BOOK + 4, 3, 4

-- facts
local sale = redis.call('HMGET', sale_key, 'last_now', 'currency', 'on_payment_failed', 'restock_refunds', 'payment_ms',
  'payment_max_ms')
local now = guarded_now(sale[1])
if reclaim(now) then return { 'behind' } end

local events = {}
for i = TEXTS, #ARGV do
  local e, key = {}, FIRST + (i - TEXTS) * EACH
  e.hold_key, e.order_key, e.once_key = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  e.event, e.fingerprint, e.id, e.payment, e.amount, e.currency, e.review_id =
    ARGV[i]:match('^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
  if not e.event then return redis.error_reply('ERR settle: an event has seven lines') end
  events[#events + 1] = e
end

local review_ids = {}
for i, e in ipairs(events) do review_ids[i] = e.review_id end
read_reviews(review_ids)

-- decision: in the book, and here, alone. Each effect answers the outcome as a word
local remembered = {}

-- Its id is that of the payment, so that several events about one payment, or one whose memory has lapsed, open one review.
local function review(e, reason)
  open_review(e.review_id,
    review_record(reason, e.event, id_of(e.hold_key), e.id, e.payment, e.amount, e.currency, int(now), '', ''), now)
  return 'review'
end

local function record_paid(e)
  change(e.order_key, 'status', 'paid', 'paid_at', int(now), 'payment', e.payment, 'captured', e.amount,
    'captured_currency', e.currency)
  emit('order.paid', e.order_key, now)
  close_review(e.review_id, 'the order was paid by this payment after all', now)
  return 'applied'
end

local function require_refund(e, reason)
  change(e.order_key, 'status', 'refund_required', 'reason', reason, 'review', e.review_id, 'payment', e.payment,
    'captured', e.amount, 'captured_currency', e.currency)
  emit('order.refund_required', e.order_key, now)
  reopen_review(e.review_id)
  review(e, reason)
  return 'refund_required'
end

-- What one side does not say does not differ.
local function differs(one, other)
  return one ~= '' and (other or '') ~= '' and one ~= other
end

local function amount_differs(e, total, currency)
  return differs(e.amount, total) or differs(e.currency, currency)
end

local function pay_hold(e, order, hold)
  local quoted = quote(hold, sale[2])
  if amount_differs(e, quoted.total, quoted.currency) then return review(e, 'amount_mismatch') end
  create_order(e.hold_key, e.order_key, hold, quoted, now, now)
  each_line(hold.lines, function(product, units)
    plan_move(product, 'held', 'sold', units)
    plan_owe(hold.customer, hold.deadline, product, 'h', -units, now)
    customer_buys(hold.customer, product, units, now)
  end)
  return record_paid(e)
end

local function cancel_hold(e, order, hold)
  release_hold(e.hold_key, hold, now)
  return 'applied'
end

local function pay_gone(e)
  new_order(e.order_key, { 'lines', '', 'created', int(now), 'due', int(now), 'customer', '' })
  return require_refund(e, 'hold_expired')
end

local function pay_pending(e, order)
  if amount_differs(e, order.total, order.currency) then return review(e, 'amount_mismatch') end
  each_line(order.lines, function(product, units)
    plan_move(product, 'pending', 'sold', units)
    plan_owe(order.customer, tonumber(order.due), product, 'p', -units, now)
    customer_buys(order.customer, product, units, now)
  end)
  return record_paid(e)
end

local function cancel_by_payment(e, order)
  cancel_pending(e.order_key, order, 'payment', now)
  return 'applied'
end

local function fail_pending(e, order)
  if sale[3] == 'keep' then return 'ignored' end
  return cancel_by_payment(e, order)
end

local function process_pending(e, order)
  if order.started_at then return 'ignored' end
  start_payment(e.order_key, order, tonumber(sale[5]), tonumber(sale[6] or sale[5]), now)
  return 'applied'
end

local function pay_late(e, order)
  if amount_differs(e, order.total, order.currency) then return review(e, 'amount_mismatch') end
  local enough = true
  each_line(order.lines, function(product, units)
    if units > available(product) then enough = false end
  end)
  expire(e.order_key, order, now)
  if not enough then return require_refund(e, 'units_gone') end
  each_line(order.lines, function(product, units)
    plan_move(product, 'available', 'sold', units)
    customer_buys(order.customer, product, units, now)
  end)
  change(e.order_key, 'late', '1')
  return record_paid(e)
end

local function pay_cancelled(e)
  return require_refund(e, 'order_cancelled')
end

-- The same payment once more, or other money? Without a name on one side nobody can tell, so a person looks.
local function pay_again(e, order)
  if e.payment ~= order.payment or amount_differs(e, order.captured, order.captured_currency) then
    return review(e, 'duplicate_payment')
  end
  return 'duplicate'
end

-- A refund of other money, or of a part, leaves the order as it is.
local function refund_differs(e, order)
  local captured = order.captured ~= '' and order.captured or order.total
  local currency = order.captured_currency ~= '' and order.captured_currency or order.currency
  return differs(e.payment, order.payment) or amount_differs(e, captured, currency)
end

local function refund(e)
  change(e.order_key, 'status', 'refunded')
  emit('order.refunded', e.order_key, now)
  return 'applied'
end

local function refund_paid(e, order)
  if refund_differs(e, order) then return review(e, 'refund_mismatch') end
  local restocks = sale[4] ~= '0'
  each_line(order.lines, function(product, units)
    if restocks then plan_move(product, 'sold', 'available', units) end
    customer_buys(order.customer, product, -units, now)
  end)
  change(e.order_key, 'restocked', restocks and '1' or '0')
  return refund(e)
end

local function refund_required(e, order)
  if refund_differs(e, order) then return review(e, 'refund_mismatch') end
  refund(e)
  if order.review then close_review(order.review, 'the refund was reported', now) end
  return 'applied'
end

-- The truth table: what is not in it is ignored.
local TABLE = {
  live_hold       = { paid = pay_hold, cancelled = cancel_hold },
  gone            = { paid = pay_gone },
  pending         = { paid = pay_pending, failed = fail_pending, cancelled = cancel_by_payment, processing = process_pending },
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

local function decide(e)
  local settled_as = remembered[e.once_key] or redis.call('GET', e.once_key)
  if settled_as then return settled_as == e.fingerprint and 'duplicate' or 'idempotency_key_reused' end
  local order = order_at(e.order_key)
  local hold = not order and hold_at(e.hold_key, now)
  local effect = TABLE[state(order, hold)][e.event]
  remembered[e.once_key] = e.fingerprint
  return effect and effect(e, order, hold) or 'ignored'
end

local reply = { 'decided', now }
for _, e in ipairs(events) do
  reply[#reply + 1] = decide(e)
  order_at(e.order_key)
  reply[#reply + 1] = told(e.order_key)
end
if not next(remembered) then return reply end

-- effects
for once_key, fingerprint in pairs(remembered) do redis.call('SET', once_key, fingerprint, 'PX', once_ms) end
write_reviews(now)
write_book(now)
return reply
