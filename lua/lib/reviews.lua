-- reviews: what a person must look at, as records of lines: reason, what happened, hold, event, payment, amount, currency,
-- when it was opened and when resolved (epoch milliseconds, or ''), and a note. Open ones and resolved ones have an index by time each.
-- Uses clock and book, and declares three keys behind those of the book.
local reviews_key, records_key, resolved_key = KEYS[BOOK + 1], KEYS[BOOK + 2], KEYS[BOOK + 3]

local function review_record(...)
  return table.concat({ ... }, '\n')
end

local function emit_review(kind, id, record, now)
  log[#log + 1] = { 'type', kind, 'at', int(now), 'review', id, 'record', record }
end

-- Once for each id, whether it was resolved since or not. False: it was there.
local function open_review(id, record, now)
  if redis.call('HSETNX', records_key, id, record) == 0 then return false end
  redis.call('ZADD', reviews_key, int(now), id)
  emit_review('review.opened', id, record, now)
  return true
end

-- The record as it is then, or nil: there is no such review, or it was resolved before.
local function close_review(id, note, now)
  local record = redis.call('ZREM', reviews_key, id) == 1 and redis.call('HGET', records_key, id)
  if not record then return nil end
  local closed = record:match('^' .. ('[^\n]*\n'):rep(8)) .. int(now) .. '\n' .. note
  redis.call('HSET', records_key, id, closed)
  redis.call('ZADD', resolved_key, int(now), id)
  emit_review('review.resolved', id, closed, now)
  return closed
end
