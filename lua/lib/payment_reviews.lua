-- payment_reviews: which reviews the payments of an order have. Uses clock, records, book, reviews and payments.

-- Why a person must look at the money of a payment, or nil.
local function reason_of(facts, order, id, is_other_captured)
  local word = worth_of(facts, order)
  local refunded, failed = refund_sums(facts)
  if not word then
    local is_refund = refunded > 0 or facts.refunded_all or trouble_of(facts, order)
    return is_other_captured and is_refund and 'refund_mismatch' or nil
  end
  if word == 'refunded' then return nil end
  if failed > 0 or facts.failed_all then return 'refund_failed' end
  if word == 'returning' then return nil end
  if order.reason == 'order_cancelled' or order.reason == 'hold_expired' then return order.reason end
  if order.status ~= 'paid' then return word == 'bad' and 'amount_mismatch' or 'units_gone' end
  if order.payment == id then return trouble_of(facts, order) end
  return 'duplicate_payment'
end

local function dispute_reason_of(facts)
  if not facts.dispute then return nil end
  local REASONS = { ['1'] = 'disputed', ['3'] = 'dispute_lost' }
  return REASONS[facts.dispute:match('%d$')]
end

-- The next id of a review about a payment: a hash, which follows from the one before, and its kind (m: its money, d: its
-- dispute).
local function next_review_id(order_key, payment, kind, previous)
  return redis.sha1hex(previous or id_of(order_key) .. ':' .. payment):sub(1, 19) .. kind
end

-- Opens, changes or closes the review of one kind. What a person resolved stays as it is. A new entry, which names the old
-- one, is opened when there is something else to decide.
local function follow_review(order_key, order, payment, facts, kind, reason, event, now)
  local name, about = 'review', 'review_about'
  if kind == 'd' then name, about = 'dispute_review', 'dispute_review_about' end
  local id = facts[name]
  if not reason and not id then return end
  local is_there = id and review_at(id) and is_open[id]
  if not reason then
    if is_there then close_review(id, '', 'a later event settled it', now) end
    if facts[about] then
      facts[about] = nil
      keep_facts(order_key, payment, facts)
    end
    return
  end
  local refunded = refund_sums(facts)
  local new_about = reason .. ':' .. (facts.captured or '') .. ':' .. int(refunded)
  if facts[about] == new_about then return end
  if is_there and event.fresh ~= payment then event = from_lines(REVIEW, review_at(id)) end
  local expected = (order.total or '') ~= '' and order.total .. ' ' .. order.currency or ''
  local subject = { reason = reason, what = event.what, target = id_of(order_key), event_id = event.event_id,
    payment = payment, amount = facts.captured, currency = facts.currency or terms.currency,
    refunded = refunded > 0 and int(refunded) or '',
    stated = event.unclear or event.stated, expected = expected, customer = order.customer, due = order.due,
    metadata = order.metadata, previous = id }
  if is_there then
    change_review(id, subject, now)
  else
    facts[name] = next_review_id(order_key, payment, kind, id)
    open_review(facts[name], reason, subject, now)
  end
  facts[about] = new_about
  keep_facts(order_key, payment, facts)
end

-- Nearly every order has one payment, of which nothing is known but that it pays: no review is about it.
local function is_plainly_paid(order, all)
  local id, facts = next(all)
  if next(all, id) or order.status ~= 'paid' or order.payment ~= id then return false end
  for name in pairs(facts) do
    if name ~= 'captured' and name ~= 'exact' and name ~= 'in_flight' then return false end
  end
  return true
end

-- The reviews of all payments of an order, after one of them changed. Answers the id of the review of the fresh payment when
-- it is new or changed.
local function follow_reviews(order_key, order, fresh, event, now)
  local all, captured, names = payments_of(order_key), 0, {}
  if is_plainly_paid(order, all) then return nil end
  event.fresh = fresh
  for id, facts in pairs(all) do
    if is_captured(facts) then captured = captured + 1 end
    names[#names + 1] = id
  end
  if #names > 1 then table.sort(names) end
  local before, before_dispute = all[fresh].review_about, all[fresh].dispute_review_about
  for i = 1, #names do
    local id, facts = names[i], all[names[i]]
    local is_other_captured = captured > (is_captured(facts) and 1 or 0)
    follow_review(order_key, order, id, facts, 'm', reason_of(facts, order, id, is_other_captured), event, now)
    follow_review(order_key, order, id, facts, 'd', dispute_reason_of(facts), event, now)
  end
  local facts = all[fresh]
  if facts.dispute_review_about and facts.dispute_review_about ~= before_dispute then return facts.dispute_review end
  return facts.review_about and facts.review_about ~= before and facts.review or nil
end
