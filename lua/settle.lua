#!lua flags=allow-oom
-- settle: decides what a payment event does to an order, or to a hold that has no order yet.
--
-- uses   clock, units, records, orders
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 hold STRING, 6 order HASH, 7 once STRING,
--        8 reviews ZSET
-- ARGV   1 event (paid, failed, cancelled, refunded or ignored), 2 fingerprint of the event, 3 once_ms,
--        4 hold id, 5 event id (these two name a case in the review queue), 6 payment id or '',
--        7 amount in ten-thousandths or '', 8 currency or ''
-- REPLY  idempotency_key_reused, now           this event id came with another fingerprint
--        duplicate, now, order                 this event id, or this payment, was settled before
--        behind                                lapsed units are left to reclaim: nothing was decided, call again
--        review, now, order                    a person must look: kept in reviews, the order is unchanged
--        refund_required, now, order           captured, but the units are gone: recorded for a refund
--        ignored, now, order
--        applied, now, order
--        (order is empty when there is none)
-- cost   O(lines + due buckets)

-- names
local hold_key, order_key, once_key, reviews_key = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local event, fingerprint, once_ms = ARGV[1], ARGV[2], ARGV[3]
local hold_id, event_id, payment, amount, currency = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

-- facts
local sale = redis.call('HMGET', sale_key, 'last_now', 'on_payment_failed', 'restock_refunds')
local now = guarded_now(sale[1])
local settled_as = redis.call('GET', once_key)
local order = read_order(order_key)
local hold = not order and live_hold(hold_key, now)
local quoted = hold and quote(hold)

local function state()
  if not order then return hold and 'live_hold' or 'gone' end
  if order.status == 'pending' then return now > tonumber(order.due) and 'lapsed' or 'pending' end
  if order.status == 'cancelled' then return order.cancelled_by == 'payment' and 'lapsed' or 'cancelled' end
  return order.status
end

-- decision
if settled_as then
  if settled_as ~= fingerprint then return { 'idempotency_key_reused', now } end
  return order_reply('duplicate', now, order_key)
end
if reclaim(now) then return { 'behind' } end

-- effects: each answers the outcome as a word
local function record_money(...)
  redis.call('HSET', order_key, 'payment', payment, 'captured', amount, 'captured_currency', currency, ...)
  redis.call('PERSIST', order_key)
end

local function record_paid()
  record_money('status', 'paid', 'paid_at', int(now))
  return 'applied'
end

local function require_refund(reason)
  record_money('status', 'refund_required', 'reason', reason)
  return 'refund_required'
end

-- One entry an event: two payments of the same wrong amount are two sums of money.
local function review(reason)
  redis.call('ZADD', reviews_key, int(now), table.concat({ reason, hold_id, event_id, payment, amount, currency }, ' '))
  return 'review'
end

-- What one side does not say does not differ.
local function differs(one, other)
  return one ~= '' and (other or '') ~= '' and one ~= other
end

local function amount_differs(expected)
  return differs(amount, expected.total) or differs(currency, expected.currency)
end

local function pay_hold()
  if amount_differs(quoted) then return review('amount_mismatch') end
  create_order(order_key, hold, quoted, 'paid', now, now)
  redis.call('DEL', hold_key)
  each_line(hold.lines, function(product, units)
    move(product, 'held', 'sold', units)
    forgive(hold.deadline, product, 'h', units)
  end)
  return record_paid()
end

local function cancel_hold()
  release_hold(hold_key, hold)
  return 'applied'
end

local function pay_gone()
  redis.call('HSET', order_key, 'lines', '', 'created', int(now), 'due', int(now), 'customer', '')
  return require_refund('hold_expired')
end

local function pay_pending()
  if amount_differs(order) then return review('amount_mismatch') end
  each_line(order.lines, function(product, units)
    move(product, 'pending', 'sold', units)
    forgive(tonumber(order.due), product, 'p', units)
  end)
  return record_paid()
end

local function fail_pending()
  if sale[2] == 'keep' then return 'ignored' end
  cancel_pending(order_key, order, 'payment', now)
  return 'applied'
end

local function cancel_by_payment()
  cancel_pending(order_key, order, 'payment', now)
  return 'applied'
end

local function pay_late()
  if amount_differs(order) then return review('amount_mismatch') end
  local enough = true
  each_line(order.lines, function(product, units)
    if units > tonumber(redis.call('HGET', stock_key, product .. ':available')) then enough = false end
  end)
  if not enough then return require_refund('units_gone') end
  each_line(order.lines, function(product, units) move(product, 'available', 'sold', units) end)
  redis.call('HSET', order_key, 'late', '1')
  return record_paid()
end

local function pay_cancelled()
  return require_refund('order_cancelled')
end

-- The same payment once more, or other money? Without a name on one side nobody can tell, so a person looks.
local function pay_again()
  if payment ~= order.payment or amount_differs({ total = order.captured, currency = order.captured_currency }) then
    return review('duplicate_payment')
  end
  return 'duplicate'
end

-- A refund of other money, or of a part, leaves the order as it is.
local function refund_differs()
  local captured = order.captured ~= '' and order.captured or order.total
  local of = order.captured_currency ~= '' and order.captured_currency or order.currency
  return differs(payment, order.payment) or amount_differs({ total = captured, currency = of })
end

local function refund_paid()
  if refund_differs() then return review('refund_mismatch') end
  redis.call('HSET', order_key, 'status', 'refunded')
  if sale[3] ~= '0' then
    each_line(order.lines, function(product, units) move(product, 'sold', 'available', units) end)
  end
  return 'applied'
end

local function refund_resolved()
  if refund_differs() then return review('refund_mismatch') end
  redis.call('HSET', order_key, 'status', 'refunded')
  return 'applied'
end

-- The truth table: what is not in it is ignored.
local TABLE = {
  live_hold       = { paid = pay_hold, cancelled = cancel_hold },
  gone            = { paid = pay_gone },
  pending         = { paid = pay_pending, failed = fail_pending, cancelled = cancel_by_payment },
  lapsed          = { paid = pay_late },
  cancelled       = { paid = pay_cancelled },
  paid            = { paid = pay_again, refunded = refund_paid },
  refund_required = { paid = pay_again, refunded = refund_resolved },
  refunded        = { paid = pay_again },
}
local effect = TABLE[state()][event]
local outcome = effect and effect() or 'ignored'
redis.call('SET', once_key, fingerprint, 'PX', once_ms)
stamp(now)
return order_reply(outcome, now, order_key)
