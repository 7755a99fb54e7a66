-- heard: the events about payments that an order heard, for a person who looks at it. Nothing is decided by them, and unlike
-- the facts of payments they depend on the order of arrival. Uses clock and book.
--
-- They are one field of the order, 'heard', with a tab before each event. The first HEARD_MAX stay, and '+<n>' behind them
-- is the number of those that came later. An event has the second of receipt to base 36, what happened with the number of
-- the payment, and the event id, such as 't8v5mo p evt_1'. The number is that fact of the payment, '' where it has none, and
-- '0' where the shop itself said it of the order. A '=' behind it: the event said nothing new.
-- src/store/redis/record/heard.rs reads it.
local HEARD_AS = { paid = 'p', processing = 'i', failed = 'f', cancelled = 'c', refunded = 'r', refund_failed = 'u',
  disputed = 'd', dispute_won = 'w', dispute_lost = 'l' }

-- Now, as the second of receipt.
local this_second

local function heard_value(event, number, is_new, now)
  -- No event may make an order long.
  local HEARD_BYTES_MAX, CUT = 64, '\226\128\166'
  this_second = this_second or base_36(math.floor(now / 1000))
  local received = event.received ~= '' and event.received or this_second
  local head = received .. ' ' .. HEARD_AS[event.what] .. number .. (is_new and '' or '=') .. ' '
  local room = HEARD_BYTES_MAX - #head
  return head .. (#event.event_id > room and event.event_id:sub(1, room - #CUT) .. CUT or event.event_id)
end

local function hear(event, number, is_new, now)
  local HEARD_MAX = 20
  local key, value = event.order_key, heard_value(event, number, is_new, now)
  local events = heard[key]
  if not events then return keep_heard(key, value) end
  local _, tabs = events:gsub('\t', '')
  if tabs + 1 < HEARD_MAX then return keep_heard(key, events .. '\t' .. value) end
  local kept, more = events:match('^(.*)\t%+(%d+)$')
  keep_heard(key, (kept or events) .. '\t+' .. int((more or 0) + 1))
end
