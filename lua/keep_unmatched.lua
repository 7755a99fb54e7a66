#!lua flags=allow-oom
-- keep_unmatched: keeps a payment event that names no order or hold of this service, and opens a review for its payment.
-- All of these are in the sale p0, which has no products. What is kept is settled when a later event of the payment names an
-- order.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, records, book, reviews
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 reviews ZSET, 10 review_records HASH, 11 resolved ZSET, 12 once STRING, 13 kept HASH
-- ARGV   1 retention_ms, 2 most events to keep, 3 once_ms, 4 most reviews that may be open, or 0: no review, 5 fingerprint
--        of the event, 6 first 18 characters of the id of the review, 7 what happened, 8 what the event names, 9 event id,
--        10 payment id or '', 11 amount in ten-thousandths or '', 12 currency or '', 13 an amount that could not be read
--        or '', 14 hash of the event, 15 the event as `settle` reads it, with an
--        empty last line, 16 kept_ms
-- REPLY  idempotency_key_reused    this event id came with another fingerprint
--        duplicate, review         with the id of the latest review of its payment, or '' where there is none
--        full                      so many reviews are open already: nothing was kept
--        ignored                   kept without a review
--        unmatched, review
-- cost   O(log reviews)
-- e.g.   KEYS = { book, 'reviews', 'review_records', 'resolved', 'once:e2', 'kept:pi_2' }
--        ARGV = { 60000, 1000, 60000, 10000, 'fingerprint', 'abcdefghijklmnopqr', 'paid', 'cart 7', 'e2', 'pi_2', 500000,
--        'USD', '', 'e2', 'paid\nfingerprint\ne2\npi_2\n500000\nUSD\n\n\n\n\n', 60000 }
--        ->  { 'unmatched', 'abcdefghijklmnopqr00' }

-- names
local once_key, kept_key = KEYS[BOOK_KEYS + 4], KEYS[BOOK_KEYS + 5]
local once_ms, open_max, fingerprint, first_id = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local subject = { what = ARGV[7], target = ARGV[8], event_id = ARGV[9], payment = ARGV[10], amount = ARGV[11],
  currency = ARGV[12], stated = ARGV[13] }
local hash, text, kept_ms = ARGV[14], ARGV[15], ARGV[16]
if #KEYS ~= BOOK_KEYS + 5 or #ARGV ~= 16 then
  return redis.error_reply('ERR keep_unmatched: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_write'))
local kept_as = redis.call('GET', once_key)

-- The latest review of the payment, or the id of its first. `previous` is one that a person resolved. Two characters number
-- 1,296 of them; behind those each event has a review of its own, by its hash.
local NUMBERS = 36 * 36
local number, id, previous = 0, first_id .. '00', nil
while number < NUMBERS and review_at(id) and not is_open[id] do
  number, previous = number + 1, id
  id = number < NUMBERS and first_id .. ('0' .. base_36(number)):sub(-2) or hash
end

-- decision
if kept_as and kept_as ~= fingerprint then return { 'idempotency_key_reused' } end
if kept_as then return { 'duplicate', review_at(id) and id or previous or '' } end
if open_max > 0 and not is_open[id] and redis.call('ZCARD', reviews_key) >= open_max then return { 'full' } end

-- effects
redis.call('SET', once_key, fingerprint, 'PX', once_ms)
if subject.payment ~= '' then
  redis.call('HSET', kept_key, hash, text .. base_36(math.floor(now / 1000)))
  redis.call('PEXPIRE', kept_key, kept_ms)
end
if open_max > 0 then
  subject.reason, subject.previous = 'unmatched', previous
  if is_open[id] then change_review(id, subject, now) else open_review(id, 'unmatched', subject, now) end
end
write_reviews(now)
write_book()
if open_max == 0 then return { 'ignored' } end
return { 'unmatched', id }
