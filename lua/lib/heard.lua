-- heard: the events about payments that an order heard, for a person who looks at it. Nothing is decided by them, and unlike
-- the facts of payments they depend on the order of arrival. Uses clock and book.
--
-- An event is the field 'heard:<n>' of its order, and n counts from 1. The first HEARD_MAX stay, and 'heard:more' is the
-- number of those that came later. The value has the second of receipt to base 36, what happened with the number of the
-- payment, and the event id, such as 't8v5mo p evt_1'. The number is that fact of the payment, '' where it has none, and '0'
-- where the shop itself said it of the order. A '=' behind it: the event said nothing new.
-- src/store/redis/record/heard.rs reads it.
local HEARD_MAX = 20
-- Redis keeps the fields of a hash in one block of memory as long as none has more bytes.
local HEARD_BYTES_MAX = 64
local CUT = '\226\128\166'
local HEARD_AS = { paid = 'p', processing = 'i', failed = 'f', cancelled = 'c', refunded = 'r', refund_failed = 'u',
  disputed = 'd', dispute_won = 'w', dispute_lost = 'l' }

local function heard_value(event, number, is_new, now)
  local received = event.received ~= '' and event.received or base_36(math.floor(now / 1000))
  local head = received .. ' ' .. HEARD_AS[event.what] .. number .. (is_new and '' or '=') .. ' '
  local room = HEARD_BYTES_MAX - #head
  return head .. (#event.event_id > room and event.event_id:sub(1, room - #CUT) .. CUT or event.event_id)
end

local function hear(event, order, number, is_new, now)
  local n = 1
  while n <= HEARD_MAX and order[HEARD .. n] do n = n + 1 end
  if n <= HEARD_MAX then
    keep_heard(event.order_key, HEARD .. n, heard_value(event, number, is_new, now))
  else
    keep_heard(event.order_key, HEARD .. 'more', int((order[HEARD .. 'more'] or 0) + 1))
  end
end
