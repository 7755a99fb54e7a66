#!lua flags=allow-oom
-- resolve: closes a review that a person has dealt with.
--
-- uses   clock, units, customers, holds, records, book, reviews
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 reviews ZSET, 10 review_records HASH, 11 resolved ZSET
-- ARGV   1 retention_ms, 2 most events to keep, 3 id of the review, 4 note
-- REPLY  review_not_found
--        already_resolved, record    its first note stays
--        resolved, record
-- cost   O(log reviews)
-- e.g.   KEYS = { book, 'reviews', 'review_records', 'resolved' }  ARGV = { 60000, 1000, 'review-e1', 'refunded by hand' }
--        ->  { 'resolved', 'hold_expired\npaid\ngone...' }

-- names
local id, note = ARGV[3], ARGV[4]
if #KEYS ~= BOOK_KEYS + 3 or #ARGV ~= 4 then
  return redis.error_reply('ERR resolve: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_now'))
local record = review_at(id)

-- decision
if not record then return { 'review_not_found' } end
if not is_open[id] then return { 'already_resolved', record } end

-- effects
close_review(id, note, now)
write_reviews(now)
write_book(now)
return { 'resolved', review_at(id) }
