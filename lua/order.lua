#!lua
-- order: turns live holds into pending orders, in the order of their arrival. A hold becomes at most one order.
--
-- uses   keys, clock, plain_order, buckets, stock, units, customers, holds, prices, records, book, orders
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET; then for each hold its hold STRING and its order STRING
-- ARGV   1 retention_ms: how long an order that is not paid is kept after its payment deadline, 2 most events to keep
-- REPLY  decided, now, and for each hold its decision and the text of the order
--          exists          it is an order already, also when a payment came first
--          hold_expired    it lapsed or was released; there is no order
--          created         pending, or paid where there is nothing to pay
-- cost   O(lines of all holds)
-- e.g.   KEYS = { book, 'hold:h1', 'order:h1' }  ARGV = { 60000, 1000 }
--        ->  { 'decided', 4102444800000, 'created', 'pending 4102444800000 50000 100000 1=2@500000 USD alice' }

-- names
local HOLDS = BOOK_KEYS + 1
if #KEYS < HOLDS or (#KEYS - BOOK_KEYS) % 2 ~= 0 or #ARGV ~= 2 then
  return redis.error_reply('ERR order: wrong number of keys or arguments')
end

-- facts
local last_write, known_due, payment_ms, currency =
  unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due', 'payment_ms', 'currency'))
know_first_due(known_due)
local now = guarded_now(last_write)
-- What the plain way decided of this call was at this instant, and nothing may come due or end within a call.
if #reply > 2 then now = reply[2] end
local due = deadline_after(now, tonumber(payment_ms))
local order_keys = {}
for i = next_pair + 1, #KEYS, 2 do order_keys[#order_keys + 1] = KEYS[i] end
read_orders(order_keys)

-- decision: in the book alone
local created = 0

local function decide(hold_key, order_key)
  if order_at(order_key) then return 'exists' end
  local hold = hold_at(hold_key, now)
  if not hold then return 'hold_expired' end
  create_order(hold_key, order_key, hold, quote(hold, currency), now, due)
  if order_at(order_key).total == '0' then pay_free_order(order_key, order_at(order_key), now) end
  created = created + 1
  return 'created'
end

reply[2] = now
for i = next_pair, #KEYS, 2 do
  local hold_key, order_key = KEYS[i], KEYS[i + 1]
  reply[#reply + 1] = decide(hold_key, order_key)
  reply[#reply + 1] = order_text(order_key)
end
if created == 0 then return reply end

-- effects
write_book()
return reply
