-- payments: what is known of the payments of an order, and what the order makes of it. Uses clock, units, customers, holds,
-- records, book, orders and reviews.
--
-- A payment is the field 'payment:<id>' of its order. The one without a name has the field 'payment:'. The value has its
-- facts, such as 'captured=500000 refunded=100000'. Facts join: the same events give the same facts, in whatever order they
-- come. The status of the order follows from the facts of all its payments, from its deadline and from what people did.
local PAYMENT = 'payment:'

-- The facts. They are stored in the order of their names. Amounts are ten-thousandths.
--   captured         the most that was captured, in `currency`; all: it was captured without an amount, and the total is not
--                    known
--   currency         left out where it is that of the sale
--   exact            some captured amount was the total; goods: the most that the provider named as the part for the goods
--   unclear          it was captured, and the amount could not be read
--   refunded         the largest sum of refunds that was named; refunded_all: all was refunded, without an amount
--   refunds          refunds by their id, '<id>:<amount>' or '<id>:<amount>:failed', joined by commas
--   failed           the most that a refund without an id failed with; failed_all: without an amount
--   refund_currency  of refunds that are in another currency than the sale; refund_unclear: an amount could not be read
--   in_flight        the buyer is paying; declined: when the last attempt failed; ended: nothing more is captured
--   dispute          the latest: '<epoch seconds of the provider>:<1 open, 2 won, 3 lost>'
--   accepted         a person said that this money pays the order; returned: a person said that it goes back
--   review           the review about its money, and review_about, what it was opened for; dispute_review: of its dispute
--   number           2 for the payment that the order heard of second, and so on: no fact, and short in lib/heard

-- The terms of the sale that decide about payments.
local terms = {}

local function read_payment_terms()
  local names = { 'last_write', 'first_due', 'currency', 'on_payment_failed', 'on_payment_ended', 'payment_amount',
    'restock_refunds', 'payment_ms', 'payment_max_ms', 'review_ms' }
  for i, value in ipairs(redis.call('HMGET', sale_key, unpack(names))) do terms[names[i]] = value or nil end
end

-- By order key: the facts of its payments, by payment id.
local payments = {}

local function read_facts(text)
  local facts = {}
  for name, value in text:gmatch('([%a_]+)=(%S+)') do facts[name] = value end
  return facts
end

local function payments_of(order_key)
  local all = payments[order_key]
  if all then return all end
  all = {}
  payments[order_key] = all
  -- Most orders have none yet, and one look at the text is cheaper than one at each field.
  if not order_text(order_key):find('\n' .. PAYMENT, 1, true) then return all end
  local list = lists[order_key]
  for i = 1, #list, 2 do
    local field = list[i]
    -- Few fields are that long, and a length costs less than a part of a text.
    if #field >= #PAYMENT and field:sub(1, #PAYMENT) == PAYMENT then
      all[field:sub(#PAYMENT + 1)] = read_facts(list[i + 1])
    end
  end
  return all
end

local function new_payment(all)
  local others = 0
  for _ in pairs(all) do others = others + 1 end
  return { number = others > 0 and int(others + 1) or nil }
end

local function facts_text(facts)
  local entries = {}
  for name, value in pairs(facts) do entries[#entries + 1] = name .. '=' .. value end
  if #entries > 1 then table.sort(entries) end
  return table.concat(entries, ' ')
end

-- Whoever changes the facts of a payment puts them into the order.
local function keep_facts(order_key, id, facts)
  change_order(order_key, PAYMENT .. id, facts_text(facts))
end

local function raise(facts, name, amount)
  if not facts[name] or tonumber(amount) > tonumber(facts[name]) then facts[name] = amount end
end

local function is_own_currency(code)
  return code == '' or code == terms.currency
end

-- By what happened: how the facts of a payment take an event in.
local JOIN = {}

-- A payment has one currency. Where events differ, that of the sale counts, and else the last in the alphabet.
local function join_captured_amount(facts, amount, currency)
  if is_own_currency(currency) then
    if facts.currency then facts.currency, facts.captured = nil, nil end
  else
    if facts.captured and (not facts.currency or currency < facts.currency) then return end
    if facts.currency ~= currency then facts.currency, facts.captured = currency, nil end
  end
  raise(facts, 'captured', amount)
end

function JOIN.paid(facts, event, order)
  if event.goods ~= '' then
    raise(facts, 'goods', event.goods)
    if event.goods == order.total then facts.exact = '1' end
  end
  if event.unclear ~= '' then
    facts.unclear = '1'
  elseif event.amount ~= '' then
    join_captured_amount(facts, event.amount, event.currency)
    if event.amount == order.total and is_own_currency(event.currency) then facts.exact = '1' end
  elseif order.total and is_own_currency(event.currency) then
    facts.exact = '1'
    join_captured_amount(facts, order.total, '')
  else
    facts.all = '1'
  end
end

-- Refunds by their id: the amount of each, and whether it failed.
local function refunds_of(facts)
  local refunds = {}
  for id, amount, failed in (facts.refunds or ''):gmatch('([^:,]+):(%d+):?(%a*)') do
    refunds[id] = { amount = tonumber(amount), failed = failed ~= '' }
  end
  return refunds
end

local function join_refund_by_id(facts, id, amount, failed)
  local refunds, entries = refunds_of(facts), {}
  id = id:gsub('[^%w_.-]', function(char) return string.format('%%%02x', char:byte()) end)
  local refund = refunds[id] or { amount = 0, failed = false }
  refunds[id] = { amount = math.max(refund.amount, tonumber(amount)), failed = refund.failed or failed }
  for other, known in pairs(refunds) do
    entries[#entries + 1] = other .. ':' .. int(known.amount) .. (known.failed and ':failed' or '')
  end
  table.sort(entries)
  facts.refunds = table.concat(entries, ',')
end

function JOIN.refunded(facts, event)
  local failed = event.what == 'refund_failed'
  if event.unclear ~= '' then
    facts.refund_unclear = '1'
    return
  end
  if not is_own_currency(event.currency) and event.currency > (facts.refund_currency or '') then
    facts.refund_currency = event.currency
  end
  if event.refund ~= '' and (event.amount ~= '' or failed) then
    join_refund_by_id(facts, event.refund, event.amount ~= '' and event.amount or '0', failed)
  elseif event.amount ~= '' then
    -- A refund of nothing says nothing: it must not count as news of a payment whose order was cancelled since.
    if tonumber(event.amount) > 0 then raise(facts, failed and 'failed' or 'refunded', event.amount) end
  else
    facts[failed and 'failed_all' or 'refunded_all'] = '1'
  end
end

function JOIN.disputed(facts, event)
  local DISPUTES = { disputed = '1', dispute_won = '2', dispute_lost = '3' }
  local sent, rank = (facts.dispute or '-1:0'):match('^(.+):(%d)$')
  local new_sent, new_rank = tonumber(event.sent) or 0, DISPUTES[event.what]
  if new_sent > tonumber(sent) or new_sent == tonumber(sent) and new_rank > rank then
    facts.dispute = int(new_sent) .. ':' .. new_rank
  end
end

function JOIN.processing(facts, event)
  if event.what == 'failed' then
    raise(facts, 'declined', tonumber(event.sent) and event.sent or '0')
  else
    facts[event.what == 'processing' and 'in_flight' or 'ended'] = '1'
  end
end

JOIN.failed, JOIN.cancelled, JOIN.refund_failed = JOIN.processing, JOIN.processing, JOIN.refunded
JOIN.dispute_won, JOIN.dispute_lost = JOIN.disputed, JOIN.disputed

local function is_captured(facts)
  return facts.captured or facts.all or facts.unclear
end

local function is_in_flight(facts)
  return facts.in_flight and not facts.ended and not is_captured(facts)
end

-- Ten-thousandths that went back and that failed to go back. What is in another currency than the captured money counts
-- as 0.
local function refund_sums(facts)
  -- Hardly any payment has one, and this is asked several times for each.
  if not (facts.refunded or facts.refunds or facts.refunded_all or facts.failed or facts.failed_all) then return 0, 0 end
  if (facts.refund_currency or terms.currency) ~= (facts.currency or terms.currency) then return 0, 0 end
  local captured, by_id, failed = tonumber(facts.captured or 0), 0, tonumber(facts.failed or 0)
  for _, refund in pairs(refunds_of(facts)) do
    if refund.failed then failed = failed + refund.amount else by_id = by_id + refund.amount end
  end
  if facts.failed_all then failed = math.max(failed, captured) end
  local sum = math.max(tonumber(facts.refunded or 0), facts.refunded_all and captured or 0)
  return math.max(sum - failed, by_id, 0), failed
end

-- What the facts say about money that moved, as one text.
local function money_of(facts)
  local refunded, failed = refund_sums(facts)
  return table.concat({ facts.captured or '', facts.currency or '', facts.all or '', facts.unclear or '', int(refunded),
    int(failed), facts.refunded_all or '', facts.failed_all or '', facts.refund_unclear or '', facts.dispute or '' }, ' ')
end

-- Whether the captured amount pays the total, or what is left of it after refunds does. Refunds of a part change nothing.
-- Just the total is exact.
local function fits(facts, order, refunded)
  if facts.exact then return true end
  local total, captured = tonumber(order.total), not facts.currency and tonumber(facts.captured) or 0
  if not total then return false end
  if terms.payment_amount == 'exact' then return captured > total and refunded >= captured - total end
  return captured > total or tonumber(facts.goods or 0) >= total
end

-- An order that costs nothing is paid, unless a payment pays it: one that came after it was cancelled.
local function is_paid_by_none(order)
  return order.status == 'paid' and order.total == '0' and not order.payment
end

-- What a payment is to its order: nil (nothing was captured, or nothing was to be paid), good, bad (the amount does not
-- fit), returning (it goes back, and has not arrived yet) or refunded.
local function worth_of(facts, order)
  if not is_captured(facts) then return nil end
  local refunded, failed = refund_sums(facts)
  local captured = tonumber(facts.captured)
  local has_failed = failed > 0 or facts.failed_all
  if captured and refunded > 0 and refunded >= captured then return 'refunded' end
  if not captured and not has_failed and (facts.refunded_all or facts.all and refunded > 0) then return 'refunded' end
  if order.total == '0' and captured == 0 and not has_failed and not facts.unclear then return nil end
  if facts.accepted then return 'good' end
  if facts.returned or has_failed and refunded + failed >= (captured or 0) then return 'returning' end
  return (order.lines == '' or fits(facts, order, refunded)) and 'good' or 'bad'
end

-- Where the units of an order are: pending, sold, kept (sold, after a refund that puts none back), or none of them: its
-- units are available, or somebody else's.
local function place_of_units(order, now)
  if order.lines == '' then return 'none' end
  if order.status == 'pending' or order.status == 'in_review' then return has_lapsed(order, now) and 'none' or 'pending' end
  if order.status == 'paid' then return 'sold' end
  return order.restocked == '0' and 'kept' or 'none'
end

local function are_available(lines)
  local enough = lines ~= ''
  each_line(lines, function(product, units)
    local stock = product_at(product)
    if not stock or units > stock.available then enough = false end
  end)
  return enough
end

-- Whether an order that had units can have none now.
local function lacks_units(order, now)
  return order.lines ~= '' and place_of_units(order, now) == 'none' and not are_available(order.lines)
end

-- Moves the units of an order to a place; pending ones get the deadline. False: they are somebody else's.
local function move_units(order, to, due, now)
  local COUNTERS = { none = 'available', pending = 'pending', sold = 'sold', kept = 'sold' }
  local from = place_of_units(order, now)
  if from == 'none' and to ~= 'none' and not are_available(order.lines) then return false end
  each_line(order.lines, function(product, units)
    plan_move(product, COUNTERS[from], COUNTERS[to], units)
    if from == 'pending' then plan_due_back(order.customer, tonumber(order.due), product, 'p', -units, now) end
    if to == 'pending' then plan_due_back(order.customer, due, product, 'p', units, now) end
    if from == 'sold' and to ~= 'sold' then add_customer_bought(order.customer, product, -units, false, now) end
    if to == 'sold' and from ~= 'sold' then add_customer_bought(order.customer, product, units, true, now) end
  end)
  return true
end

-- Ends an order whose money goes back or went back. Its units are sold again, or not, by the terms of the sale.
local function return_money(order_key, order, status, reason, now)
  if order.status == status then return end
  local from = place_of_units(order, now)
  local to = from ~= 'none' and terms.restock_refunds == '0' and 'kept' or 'none'
  move_units(order, to, nil, now)
  if from ~= 'none' then change_order(order_key, 'restocked', to == 'kept' and '0' or '1') end
  change_order(order_key, 'status', status)
  if reason then change_order(order_key, 'reason', reason) end
  log_order_event(status == 'refunded' and 'order.refunded' or 'order.refund_required', order_key, now)
end

local function require_refund(order_key, order, reason, now)
  return_money(order_key, order, 'refund_required', reason, now)
end

-- Before an order that was over gets its units again.
local function revive(order_key, order, now)
  if now > tonumber(order.due) and order.status ~= 'paid' then change_order(order_key, 'late', '1') end
  if not (order.expired_at or order.cancelled_by or order.reason or order.restocked) then return end
  for _, field in ipairs({ 'expired_at', 'cancelled_by', 'reason', 'restocked' }) do drop_field(order_key, field) end
end

local function pay_order(order_key, order, id, now)
  if order.status == 'paid' then
    if order.payment ~= id then change_order(order_key, 'payment', id) end
    return
  end
  if is_closed(order) then return require_refund(order_key, order, 'order_cancelled', now) end
  if not move_units(order, 'sold', nil, now) then
    return require_refund(order_key, order, order.lines == '' and 'hold_expired' or 'units_gone', now)
  end
  revive(order_key, order, now)
  change_order(order_key, 'status', 'paid', 'paid_at', int(now), 'payment', id)
  log_order_event('order.paid', order_key, now)
end

-- The money is there, and does not fit: the buyer keeps the units until a person decides, or the time for that is over.
local function hold_for_review(order_key, order, now)
  if order.status == 'in_review' then return end
  if is_closed(order) then return require_refund(order_key, order, 'order_cancelled', now) end
  local due = deadline_after(now, tonumber(terms.review_ms))
  if place_of_units(order, now) == 'pending' then due = math.max(due, tonumber(order.due)) end
  if not move_units(order, 'pending', due, now) then return require_refund(order_key, order, 'amount_mismatch', now) end
  revive(order_key, order, now)
  change_order(order_key, 'status', 'in_review', 'due', int(due))
  log_order_event('order.in_review', order_key, now)
end

-- Whether an event said that money went back, or did not arrive.
local function has_refund(facts)
  local is_some = tonumber(facts.refunded or 0) > 0 or tonumber(facts.failed or 0) > 0
  return is_some or facts.refunded_all or facts.failed_all or facts.refunds
end

-- Why a person must look at a payment though it pays its order, or nil: a part of it went back, or a refund of it is odd.
local function trouble_of(facts, order)
  local refunded = refund_sums(facts)
  local is_other_money = (facts.refund_currency or terms.currency) ~= (facts.currency or terms.currency)
  if facts.refund_unclear or is_other_money and has_refund(facts) then return 'refund_mismatch' end
  if refunded == 0 then return nil end
  local excess = not facts.currency and tonumber(facts.captured or 0) - tonumber(order.total or 0) or 0
  return refunded > math.max(excess, 0) and 'partial_refund' or nil
end

-- Which of two good payments pays: one that is whole, else the one that pays already, else the new one, else any.
local function pays_better(order, all, one, other, fresh)
  local whole, other_whole = not trouble_of(all[one], order), not trouble_of(all[other], order)
  if whole ~= other_whole then return whole end
  if one == order.payment or other == order.payment then return one == order.payment end
  if one == fresh or other == fresh then return one == fresh end
  return one < other
end

-- A payment of the order for each worth that it has one of, and the best of those that are good. Also the worth of the fresh
-- one.
local function payments_by_worth(order_key, order, fresh)
  local by, all, fresh_word = {}, payments_of(order_key), nil
  for id, facts in pairs(all) do
    local word = worth_of(facts, order)
    if word and (not by[word] or pays_better(order, all, id, by[word], fresh)) then by[word] = id end
    if id == fresh then fresh_word = word end
  end
  return by, fresh_word
end

-- An order that costs nothing can be cancelled though it is paid, unless money came to it that did not go back.
local function is_cancellable_free(order_key, order)
  if not is_paid_by_none(order) then return false end
  for _, facts in pairs(payments_of(order_key)) do
    local word = worth_of(facts, order)
    if word and word ~= 'refunded' then return false end
  end
  return true
end

-- What the order makes of its payments. `fresh` is the payment whose worth has just changed, or nil. An order whose money
-- must go back stays so, until other money comes.
local function follow_payments(order_key, order, fresh, now)
  if is_paid_by_none(order) then return end
  local by, word = payments_by_worth(order_key, order, fresh)
  local is_over = order.status == 'refund_required' and word ~= 'good' and word ~= 'bad'
  if by.good and not is_over then
    pay_order(order_key, order, by.good, now)
  elseif by.bad and not is_over then
    hold_for_review(order_key, order, now)
  elseif by.returning and not by.good and not by.bad then
    local reason = payments_of(order_key)[by.returning].returned and 'returned' or 'refund_failed'
    require_refund(order_key, order, reason, now)
  elseif by.refunded and not by.good and not by.bad and not by.returning then
    return_money(order_key, order, 'refunded', nil, now)
  end
end
