-- reviews: money that a person must look at. Open and resolved reviews have an index by time each. Uses clock, records and
-- book, and declares three keys behind those of the book. Reviews are decided in memory too: a later decision of a batch may
-- close what an earlier one opened, or open what an earlier one could not close.
local reviews_key, records_key, resolved_key = KEYS[BOOK_KEYS + 1], KEYS[BOOK_KEYS + 2], KEYS[BOOK_KEYS + 3]

-- The fields of a review, as its record has them in lines (to_lines). what: what happened, as the event reports it. target:
-- a hold id, or what an event names that this service never made. amount: what was captured, and refunded: how much of it
-- went back. stated: an amount that could not be read, as it came. expected, customer, metadata and due: of the order, when
-- the review was opened; expected has its currency behind a blank. previous: the review that somebody resolved before.
-- opened and resolved: epoch milliseconds, and '' while the review is open. action: what the person decided, and actor:
-- whose token that was.
local REVIEW = { 'reason', 'what', 'target', 'event_id', 'payment', 'amount', 'currency', 'refunded', 'stated', 'expected',
  'customer', 'metadata', 'due', 'previous', 'opened', 'resolved', 'actor', 'action', 'note' }

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

local function keep_changed_review(kind, id, record, open, now)
  reviews[id], is_open[id], changed_reviews[id] = record, open, true
  log_event(kind, now, 'review', id, 'record', record)
end

-- Opens a review once for each id, even when it was resolved since. False: there was one. `subject` has the fields of the
-- review up to previous.
local function open_review(id, reason, subject, now)
  if review_at(id) then return false end
  subject.reason, subject.opened = reason, int(now)
  keep_changed_review('review.opened', id, to_lines(REVIEW, subject), true, now)
  return true
end

-- Changes what an open review is about. When it was opened stays.
local function change_review(id, subject, now)
  subject.opened = from_lines(REVIEW, review_at(id)).opened
  subject.previous = from_lines(REVIEW, review_at(id)).previous
  keep_changed_review('review.changed', id, to_lines(REVIEW, subject), true, now)
end

-- Does nothing when there is no such review, or it was resolved before.
local function close_review(id, action, note, now)
  local record = review_at(id)
  if not record or not is_open[id] then return end
  local review = from_lines(REVIEW, record)
  review.resolved, review.action, review.note = int(now), action, note
  if action ~= '' then review.actor = act and act:match('^actor\n([^\n]+)') or '' end
  keep_changed_review('review.resolved', id, to_lines(REVIEW, review), false, now)
end

-- Writes what was opened and closed. The book has the events about it.
local function write_reviews(now)
  for id in pairs(changed_reviews) do
    redis.call('HSET', records_key, id, reviews[id])
    if is_open[id] then
      redis.call('ZREM', resolved_key, id)
      redis.call('ZADD', reviews_key, 'NX', int(now), id)
    else
      redis.call('ZREM', reviews_key, id)
      redis.call('ZADD', resolved_key, int(now), id)
    end
  end
end
