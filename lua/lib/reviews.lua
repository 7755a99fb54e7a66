-- reviews: what a person must look at, as records of lines: reason, what happened, hold, event, payment, amount, currency,
-- when it was opened and when resolved (epoch milliseconds, or ''), and a note. Open ones and resolved ones have an index by time each.
-- Uses clock and book, and declares three keys behind those of the book. They are decided in memory too: later decisions of a
-- batch may close what an earlier one opened, or open what an earlier one found nothing to close of.
local reviews_key, records_key, resolved_key = KEYS[BOOK + 1], KEYS[BOOK + 2], KEYS[BOOK + 3]

-- By id: the record, false where there is none; whether it is open; what was changed.
local records, is_open, touched = {}, {}, {}

local function review_record(...)
  return table.concat({ ... }, '\n')
end

local function found_review(id, record)
  records[id] = record
  is_open[id] = record and redis.call('ZSCORE', reviews_key, id) ~= false
end

local function review_at(id)
  if records[id] == nil then found_review(id, redis.call('HGET', records_key, id)) end
  return records[id]
end

-- Spares a look at each: most payments have none.
local function read_reviews(ids)
  for i, record in ipairs(redis.call('HMGET', records_key, unpack(ids))) do found_review(ids[i], record) end
end

local function keep_review(kind, id, record, open, now)
  records[id], is_open[id], touched[id] = record, open, true
  log[#log + 1] = { 'type', kind, 'at', int(now), 'review', id, 'record', record }
end

-- Once for each id, whether it was resolved since or not. False: it was there.
local function open_review(id, record, now)
  if review_at(id) then return false end
  keep_review('review.opened', id, record, true, now)
  return true
end

-- Something new is to be done about what a person had dealt with: the next that opens it finds none.
local function reopen_review(id)
  if review_at(id) and not is_open[id] then records[id] = false end
end

-- Nothing happens when there is no such review, or it was resolved before.
local function close_review(id, note, now)
  local record = review_at(id)
  if not record or not is_open[id] then return end
  local closed = record:match('^' .. ('[^\n]*\n'):rep(8)) .. int(now) .. '\n' .. note
  keep_review('review.resolved', id, closed, false, now)
end

-- What was opened and closed. The log of it is in the book.
local function write_reviews(now)
  for id in pairs(touched) do
    redis.call('HSET', records_key, id, records[id])
    if is_open[id] then
      redis.call('ZREM', resolved_key, id)
      redis.call('ZADD', reviews_key, int(now), id)
    else
      redis.call('ZREM', reviews_key, id)
      redis.call('ZADD', resolved_key, int(now), id)
    end
  end
end
