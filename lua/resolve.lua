#!lua flags=allow-oom
-- resolve: closes a review with what a person decided about its money.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, prices, records, book, orders, reviews, payments,
--        payment_reviews
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 reviews ZSET, 10 review_records HASH, 11 resolved ZSET, 12 STRING of the order that it is about
-- ARGV   1 retention_ms, 2 most events to keep, 3 id of the review, 4 accept (this money pays the order), refund (the money
--        goes back), dismiss (nothing changes) or '' (a later event settled it elsewhere), 5 note
-- REPLY  behind                      lapsed units are left to reclaim: nothing was decided, call again
--        review_not_found
--        already_resolved, record    its first action and note stay
--        not_acceptable              this money cannot pay the order: other money did, or what it paid for is not known
--        units_gone                  it would pay the order, and its units are somebody else's
--        resolved, record
-- cost   O(lines and payments of the order + due buckets)
-- e.g.   KEYS = { book, 'reviews', 'review_records', 'resolved', 'order:gone' }
--        ARGV = { 60000, 1000, '1a7b1d81e8b055dc689m', 'dismiss', 'refunded by hand' }
--        ->  { 'resolved', 'hold_expired\npaid\ngone...' }

-- names
local order_key, id, action, note = KEYS[BOOK_KEYS + 4], ARGV[3], ARGV[4], ARGV[5]
if #KEYS ~= BOOK_KEYS + 4 or #ARGV ~= 5 then
  return redis.error_reply('ERR resolve: wrong number of keys or arguments')
end

-- facts
read_payment_terms()
local now = guarded_now(terms.last_write)
if reclaim(now, terms.first_due) then return { 'behind' } end
local record = review_at(id)
local review = record and from_lines(REVIEW, record)
local order = order_at(order_key)
local facts = order and review and payments_of(order_key)[review.payment]

-- Why the money of the review cannot pay the order, or nil.
local function not_accepted()
  local worth = facts and worth_of(facts, order)
  local can_pay = worth and worth ~= 'refunded' and order.status ~= 'paid' and order.lines ~= ''
  if not can_pay then return 'not_acceptable' end
  if lacks_units(order, now) then return 'units_gone' end
end

-- decision
if not record then return { 'review_not_found' } end
if not is_open[id] then return { 'already_resolved', record } end
local refusal = action == 'accept' and not_accepted()
if refusal then return { refusal } end

-- effects
close_review(id, action, note, now)
if facts and is_captured(facts) and (action == 'accept' or action == 'refund') then
  expire(order_key, order, now)
  if action == 'accept' then
    facts.accepted, facts.returned = '1', nil
    drop_field(order_key, 'cancelled_by')
  else
    facts.accepted, facts.returned = nil, '1'
  end
  keep_facts(order_key, review.payment, facts)
  follow_payments(order_key, order, review.payment, now)
  follow_reviews(order_key, order, review.payment,
    { what = review.what, event_id = review.event_id, unclear = review.stated }, now)
end
write_reviews(now)
write_book()
return { 'resolved', review_at(id) }
