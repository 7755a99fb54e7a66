-- reviews: money that a person must look at. Open and resolved reviews have an index by time each. Uses clock, records and
-- book, and declares three keys behind those of the book. Reviews are decided in memory too: a later decision of a batch may
-- close what an earlier one opened, or open what an earlier one could not close.
local reviews_key, records_key, resolved_key = KEYS[BOOK_KEYS + 1], KEYS[BOOK_KEYS + 2], KEYS[BOOK_KEYS + 3]

-- The fields of a review, as its record has them in lines (to_lines). what: what happened, as the event reports it. target:
-- a hold id, or what an event names that this service never made. opened and resolved: epoch milliseconds, and '' while the
-- review is open.
local REVIEW = { 'reason', 'what', 'target', 'event_id', 'payment', 'amount', 'currency', 'opened', 'resolved', 'note' }

-- By id: the record, false when there is none; whether it is open; and whether it is to be written.
local reviews, is_open, changed_reviews = {}, {}, {}

local function keep_found_review(id, record)
  reviews[id] = record
  is_open[id] = record and redis.call('ZSCORE', reviews_key, id) ~= false
end

local function review_at(id)
  if reviews[id] == nil then keep_found_review(id, redis.call('HGET', records_key, id)) end
  return reviews[id]
end

-- Most payments have no review: one HMGET for all spares a HGET for each.
local function read_reviews(ids)
  for i, record in ipairs(redis.call('HMGET', records_key, unpack(ids))) do keep_found_review(ids[i], record) end
end

local function keep_changed_review(kind, id, record, open, now)
  reviews[id], is_open[id], changed_reviews[id] = record, open, true
  log_event(kind, now, 'review', id, 'record', record)
end

-- Opens a review once for each id, even when it was resolved since. False: there was one. `subject` has the fields of the
-- review up to currency.
local function open_review(id, reason, subject, now)
  if review_at(id) then return false end
  subject.reason, subject.opened = reason, int(now)
  keep_changed_review('review.opened', id, to_lines(REVIEW, subject), true, now)
  return true
end

-- Forgets a resolved review, because there is something new to do: the next open_review opens it again.
local function reopen_review(id)
  if review_at(id) and not is_open[id] then reviews[id] = false end
end

-- Does nothing when there is no such review, or it was resolved before.
local function close_review(id, note, now)
  local record = review_at(id)
  if not record or not is_open[id] then return end
  local review = from_lines(REVIEW, record)
  review.resolved, review.note = int(now), note
  keep_changed_review('review.resolved', id, to_lines(REVIEW, review), false, now)
end

-- Writes what was opened and closed. The book has the events about it.
local function write_reviews(now)
  for id in pairs(changed_reviews) do
    redis.call('HSET', records_key, id, reviews[id])
    if is_open[id] then
      redis.call('ZREM', resolved_key, id)
      redis.call('ZADD', reviews_key, int(now), id)
    else
      redis.call('ZREM', reviews_key, id)
      redis.call('ZADD', resolved_key, int(now), id)
    end
  end
end
