#!lua flags=allow-oom
-- keep_unmatched: keeps a payment event about an id that was never made here for a person to look at, once.
-- All of them live in the sale p0, which has no products.
--
-- uses   clock, units, customers, records, book, reviews
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 reviews ZSET, 10 review_records HASH, 11 resolved ZSET, 12 once STRING
-- ARGV   1 retention_ms, 2 most events to keep, 3 once_ms, 4 most reviews that may be open, 5 fingerprint of the event,
--        6 id of the review, 7 what happened, 8 what the event names, 9 event id, 10 payment id or '',
--        11 amount in ten-thousandths or '', 12 currency or ''
-- REPLY  idempotency_key_reused    this event id came with another fingerprint
--        duplicate
--        full                      so many reviews are open already: nothing was kept
--        unmatched
-- cost   O(log reviews)

-- names
local once_key, once_ms, open_max, fingerprint, review_id = KEYS[BOOK + 4], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_now'))
local kept_as = redis.call('GET', once_key)

-- decision
if kept_as then return { kept_as == fingerprint and 'duplicate' or 'idempotency_key_reused' } end
if redis.call('ZCARD', reviews_key) >= open_max then return { 'full' } end

-- effects
redis.call('SET', once_key, fingerprint, 'PX', once_ms)
local record = review_record('unmatched', ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12], int(now), '', '')
local is_new = open_review(review_id, record, now)
write_reviews(now)
write_book(now)
return { is_new and 'unmatched' or 'duplicate' }
