#!lua flags=allow-oom
-- keep_unmatched: opens a review, once, for a payment event that names no order or hold of this service.
-- All of these reviews are in the sale p0, which has no products.
--
-- uses   clock, units, customers, holds, records, book, reviews
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 reviews ZSET, 10 review_records HASH, 11 resolved ZSET, 12 once STRING
-- ARGV   1 retention_ms, 2 most events to keep, 3 once_ms, 4 most reviews that may be open, 5 fingerprint of the event,
--        6 id of the review, 7 what happened, 8 what the event names, 9 event id, 10 payment id or '',
--        11 amount in ten-thousandths or '', 12 currency or '', 13 an amount that could not be read, or ''
-- REPLY  idempotency_key_reused    this event id came with another fingerprint
--        duplicate
--        full                      so many reviews are open already: nothing was kept
--        unmatched
-- cost   O(log reviews)
-- e.g.   KEYS = { book, 'reviews', 'review_records', 'resolved', 'once:e2' }
--        ARGV = { 60000, 1000, 60000, 10000, 'fingerprint', 'paid-pi_2', 'paid', 'cart 7', 'e2', 'pi_2', 500000, 'USD', '' }
--        ->  { 'unmatched' }

-- names
local once_key = KEYS[BOOK_KEYS + 4]
local once_ms, open_max, fingerprint, review_id = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local subject = { what = ARGV[7], target = ARGV[8], event_id = ARGV[9], payment = ARGV[10], amount = ARGV[11],
  currency = ARGV[12], stated = ARGV[13] }
if #KEYS ~= BOOK_KEYS + 4 or #ARGV ~= 13 then
  return redis.error_reply('ERR keep_unmatched: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_now'))
local kept_as = redis.call('GET', once_key)

-- decision
if kept_as then return { kept_as == fingerprint and 'duplicate' or 'idempotency_key_reused' } end
if redis.call('ZCARD', reviews_key) >= open_max then return { 'full' } end

-- effects
redis.call('SET', once_key, fingerprint, 'PX', once_ms)
local is_new = open_review(review_id, 'unmatched', subject, now)
write_reviews(now)
write_book(now)
return { is_new and 'unmatched' or 'duplicate' }
