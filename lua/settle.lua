#!lua flags=allow-oom
-- settle: decides what payment events do to orders, or to holds that have no order yet, in the order of their arrival. Each
-- event adds to what is known of its payment, and the order follows from all its payments (lib/payments).
--
-- uses   keys, clock, plain_payment, buckets, stock, units, customers, holds, prices, records, book, orders, reviews,
--        payments, payment_reviews, heard
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 reviews ZSET, 10 review_records HASH, 11 resolved ZSET; then for each event its hold STRING, order
--        STRING and once STRING
-- ARGV   1 retention_ms: how long an order that is not paid is kept after its payment deadline, 2 most events to keep,
--        3 once_ms: how long the id of an event is remembered; then for each event a text of lines: what happened (a word of
--        PaymentStatus in src/domain/payment.rs), fingerprint, event id, payment id, amount in ten-thousandths, currency,
--        the part for the goods, refund id, epoch seconds of the provider, an amount that could not be read, the second in
--        which it came, to base 36, where that is not now, and 1 where the event waits for units that other shards of the
--        sale may have. All but the first three may be ''
-- REPLY  behind                     lapsed units are left to reclaim: nothing was decided, call again
--        sale_not_found             nothing was decided: ids of this sale were made, so the store was emptied, or is older
--        decided, now, and for each event its decision, the order (its text, or ''), the id of a
--                                   review that it opened or changed or '', and why a person must look or ''
--          units_gone               nothing was decided: the order lacks units, and the event waits for some of other shards
--          idempotency_key_reused   this event id came with another fingerprint
--          duplicate                this event id, or all that it says, was settled before
--          review                   a person must look: kept in reviews
--          refund_required          captured, but the units are gone: recorded for a refund, and kept in reviews
--          ignored                  the order stays as it is
--          applied
-- cost   O(lines and payments of all orders + due buckets)
-- e.g.   KEYS = { book, 'reviews', 'review_records', 'resolved', 'hold:h1', 'order:h1', 'once:e2' }
--        ARGV = { 60000, 1000, 60000, 'paid\nfingerprint\ne2\npi_2\n1000000\nUSD\n\n\n\n\n\n' }
--        ->  { 'decided', 4102444800000, 'applied', 'paid 4102444800000...', '', '' }

-- names
local once_ms = ARGV[3]
local KEYS_OF_EVENT = 3
if #ARGV < next_event or #KEYS ~= next_keys - 1 + KEYS_OF_EVENT * (#ARGV - next_event + 1) then
  return redis.error_reply('ERR settle: wrong number of keys or arguments')
end

-- nil: the text has other lines.
local function read_event(text, hold_key, order_key, once_key)
  local EVENT = '^' .. ('(%S*)\n'):rep(9) .. '([^\n]*)\n(%w*)\n(1?)$'
  local what, fingerprint, event_id, payment, amount, currency, goods, refund, sent, unclear, received, waits =
    text:match(EVENT)
  return what and { what = what, fingerprint = fingerprint, event_id = event_id, payment = payment, amount = amount,
    currency = currency, goods = goods, refund = refund, sent = sent, unclear = unclear, received = received,
    waits = waits == '1', hold_key = hold_key, order_key = order_key, once_key = once_key }
end

local events, once_keys, order_keys = {}, {}, {}
for i = next_event, #ARGV do
  local key = next_keys + (i - next_event) * KEYS_OF_EVENT
  local event = read_event(ARGV[i], KEYS[key], KEYS[key + 1], KEYS[key + 2])
  if not event then return redis.error_reply('ERR settle: an event has twelve lines') end
  if not JOIN[event.what] then return redis.error_reply('ERR settle: an unknown status') end
  events[#events + 1] = event
  once_keys[#once_keys + 1], order_keys[#order_keys + 1] = event.once_key, event.order_key
end

-- facts
read_payment_terms()
if not terms.payment_ms then return { 'sale_not_found' } end
local now = guarded_now(terms.last_write)
-- What the plain way decided of this call was at this instant, and nothing may come due or end within a call.
if #reply > 2 then now = reply[2] end
if reclaim(now, terms.first_due) then return { 'behind' } end
local settled_as = redis.call('MGET', unpack(once_keys))
read_orders(order_keys)

-- decision: in the book and in the reviews alone. `remembered` has fingerprints by once key
local remembered = {}

-- An event without a payment id that the order is not paid or cancelled is the word of the shop itself.
local function follow_shop(event, order, hold)
  if hold and event.what == 'cancelled' then
    release_hold(event.hold_key, hold, now)
    return 'applied'
  end
  if order then hear(event, '0', true, now) end
  if not order or event.what == 'failed' and terms.on_payment_failed == 'keep' then return 'ignored' end
  if order.status == 'pending' and not has_lapsed(order, now) then
    cancel_pending(event.order_key, order, 'shop', now)
  elseif is_cancellable_free(event.order_key, order) then
    cancel_free(event.order_key, order, 'shop', now)
  else
    return 'ignored'
  end
  return 'applied'
end

-- A payment of a live hold makes its order, unless it only failed or ended. Money for a hold that is gone makes an order
-- without lines, so that the money is kept somewhere. nil: there is nothing that the event could change.
local function order_of_hold(event, hold)
  if hold then
    if event.what == 'failed' or event.what == 'cancelled' then return nil end
    local due = deadline_after(now, tonumber(terms.payment_ms))
    create_order(event.hold_key, event.order_key, hold, quote(hold, terms.currency), now, due)
    if order_at(event.order_key).total == '0' then pay_free_order(event.order_key, order_at(event.order_key), now) end
  else
    if event.what == 'failed' or event.what == 'cancelled' or event.what == 'processing' then return nil end
    add_order(event.order_key, { status = 'pending', created = int(now), due = int(now - 1), lines = '', currency = '',
      customer = '' })
    change_order(event.order_key, 'expired_at', int(now))
  end
  return order_at(event.order_key)
end

-- The end of a payment on a hold, by the policy for orders.
local function end_payment_of_hold(event, hold)
  if not hold or event.what ~= 'cancelled' or terms.on_payment_ended ~= 'release' then return 'ignored' end
  release_hold(event.hold_key, hold, now)
  return 'applied'
end

-- The buyer is paying. An order that the end of another payment had cancelled gets its units again, while it is in time.
local function follow_processing(order_key, order, facts)
  if is_in_flight(facts) and order.status == 'cancelled' and order.cancelled_by == 'payment' and now <= tonumber(order.due)
    and move_units(order, 'pending', tonumber(order.due), now) then
    revive(order_key, order, now)
    change_order(order_key, 'status', 'pending')
  end
  if order.status ~= 'pending' or has_lapsed(order, now) or order.started_at then return end
  start_payment(order_key, order, tonumber(terms.payment_ms), tonumber(terms.payment_max_ms or terms.payment_ms), now)
end

local function follow_end(order_key, order)
  -- Whether a payment of the order may still capture, or has.
  local function has_live_payment()
    for _, facts in pairs(payments_of(order_key)) do
      if is_in_flight(facts) or is_captured(facts) then return true end
    end
    return false
  end

  local waits = order.status == 'pending' and not has_lapsed(order, now)
  if waits and terms.on_payment_ended == 'release' and not has_live_payment() then
    cancel_pending(order_key, order, 'payment', now)
  end
end

local function decision(event, order, before, review, facts, facts_before)
  if order.status ~= before.status and order.status == 'refund_required' then return 'refund_required' end
  if review then return 'review' end
  local has_changed = order.status ~= before.status or order.started_at ~= before.started_at
    or order.payment ~= before.payment
  if has_changed or money_of(facts) ~= money_of(facts_before) then return 'applied' end
  local is_about_money = event.what ~= 'failed' and event.what ~= 'cancelled' and event.what ~= 'processing'
  return is_about_money and 'duplicate' or 'ignored'
end

-- Answers the decision, and the id of the review that the event opened or changed.
local function settle(event, order, before)
  local order_key, id = event.order_key, event.payment
  local known, all = order[PAYMENT .. id], payments_of(order_key)
  all[id] = all[id] or new_payment(all)
  local facts, facts_before = all[id], known and read_facts(known) or {}
  JOIN[event.what](facts, event, order)
  local text = facts_text(facts)
  -- A refund of nothing says nothing of its payment, whose number is no fact, and makes the order all the same.
  local nothing = facts.number and 'number=' .. facts.number or ''
  local is_new = text ~= (known or nothing) or not before.status
  hear(event, facts.number or '', is_new, now)
  if not is_new then return 'duplicate' end
  expire(order_key, order, now)
  change_order(order_key, PAYMENT .. id, text)
  if event.what == 'processing' then follow_processing(order_key, order, facts) end
  if event.what == 'cancelled' then follow_end(order_key, order) end
  follow_payments(order_key, order, worth_of(facts, order) ~= worth_of(facts_before, order) and id or nil, now)
  -- An order without lines to which no money came yet.
  if not before.status and order.expired_at and order.status == 'pending' then
    log_order_event('order.expired', order_key, now)
  end
  local review = follow_reviews(order_key, order, id, event, now)
  return decision(event, order, before, review, facts, facts_before), review
end

local function decide(event, settled_before)
  local known_as = remembered[event.once_key] or settled_before
  if known_as then return known_as == event.fingerprint and 'duplicate' or 'idempotency_key_reused' end
  local order = order_at(event.order_key)
  if event.waits and order and lacks_units(order, now) then return 'units_gone' end
  remembered[event.once_key] = event.fingerprint
  local hold = not order and hold_at(event.hold_key, now)
  if event.payment == '' and (event.what == 'failed' or event.what == 'cancelled') then
    return follow_shop(event, order, hold)
  end
  local before = order and { status = order.status, started_at = order.started_at, payment = order.payment } or {}
  order = order or order_of_hold(event, hold)
  if not order then return end_payment_of_hold(event, hold) end
  return settle(event, order, before)
end

reply[2] = now
for i = 1, #events do
  local event = events[i]
  local word, review = decide(event, settled_as[i])
  order_at(event.order_key)
  reply[#reply + 1] = word
  reply[#reply + 1] = order_text(event.order_key)
  reply[#reply + 1] = review or ''
  reply[#reply + 1] = review and from_lines(REVIEW, review_at(review)).reason or ''
end
if not next(remembered) then return reply end

-- effects
for once_key, fingerprint in pairs(remembered) do redis.call('SET', once_key, fingerprint, 'PX', once_ms) end
write_reviews(now)
write_book()
return reply
