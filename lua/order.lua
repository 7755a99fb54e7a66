#!lua
-- order: turns live holds into pending orders, in the order of their arrival. A hold becomes at most one order.
--
-- uses   clock, units, customers, records, book, orders
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET; then for each hold its hold STRING and its order HASH
-- ARGV   1 retention_ms: how long an order that is not paid is kept after its payment deadline, 2 most events to keep
-- REPLY  decided, now, and for each hold how it was decided and the order: fields and values, a line each
--          exists          it is an order already, also when a payment came first
--          hold_expired    it lapsed or was released; there is no order
--          created
-- cost   O(lines of all holds)

-- names
local FIRST = BOOK + 1

-- facts
local sale = redis.call('HMGET', sale_key, 'last_now', 'payment_ms', 'currency')
local now = guarded_now(sale[1])
local due = deadline_after(now, tonumber(sale[2]))
local order_keys = {}
for i = FIRST + 1, #KEYS, 2 do order_keys[#order_keys + 1] = KEYS[i] end
none_of(order_keys)

-- decision: in the book alone
local function decide(hold_key, order_key)
  if order_at(order_key) then return 'exists' end
  local hold = hold_at(hold_key, now)
  if not hold then return 'hold_expired' end
  create_order(hold_key, order_key, hold, quote(hold, sale[3]), now, due)
  each_line(hold.lines, function(product, units)
    plan_move(product, 'held', 'pending', units)
    plan_owe(hold.customer, hold.deadline, product, 'h', -units, now)
    plan_owe(hold.customer, due, product, 'p', units, now)
  end)
  return 'created'
end

local reply = { 'decided', now }
for i = FIRST, #KEYS, 2 do
  reply[#reply + 1] = decide(KEYS[i], KEYS[i + 1])
  reply[#reply + 1] = told(KEYS[i + 1])
end
if #log == 0 then return reply end

-- effects
write_book(now)
return reply
