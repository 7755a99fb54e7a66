#!lua
-- order: turns a live hold into a pending order. A hold becomes at most one order.
--
-- uses   clock, units, records, orders
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 hold STRING, 6 order HASH
-- ARGV   1 retention_ms: how long an order that is not paid is kept after its payment deadline
-- REPLY  exists, now, order         it is an order already, also when a payment came first
--        hold_expired, now          it lapsed or was released
--        created, now, order
-- cost   O(lines)

-- names
local hold_key, order_key = KEYS[5], KEYS[6]
local retention_ms = tonumber(ARGV[1])

-- facts
local sale = redis.call('HMGET', sale_key, 'last_now', 'payment_ms')
local now = guarded_now(sale[1])
local exists = redis.call('EXISTS', order_key) == 1
local hold = live_hold(hold_key, now)

-- decision
if exists then return order_reply('exists', now, order_key) end
if not hold then return { 'hold_expired', now } end

-- effects
local due = deadline_after(now, tonumber(sale[2]))
create_order(order_key, hold, quote(hold), 'pending', now, due)
redis.call('PEXPIREAT', order_key, int(due + retention_ms))
redis.call('DEL', hold_key)
each_line(hold.lines, function(product, units)
  move(product, 'held', 'pending', units)
  forgive(hold.deadline, product, 'h', units)
  owe(due, product, 'p', units)
end)
stamp(now)
return order_reply('created', now, order_key)
