#!lua
-- extend: moves the deadline of a live hold, as far as the sale lets a hold live, counted from when it was made.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, prices, records, costs, book
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 hold STRING, 10 order STRING
-- ARGV   1 retention_ms, 2 most events to keep, 3 how much longer in ms
-- REPLY  hold_converted                         it became an order
--        hold_expired                           it lapsed or was released
--        extension_limit_reached, deadline      it has the latest deadline that the sale allows
--        extended, now, deadline, lines, customer, metadata or '', costs
--        Costs are '<currency> <prices>', what one unit of each line costs.
-- cost   O(lines)
-- e.g.   KEYS = { book, 'hold:h1', 'order:h1' }  ARGV = { 60000, 1000, 30000 }
--        ->  { 'extended', 4102444800000, 4102444930000, '1=2', 'alice', '', 'USD 500000' }

-- names
local hold_key, order_key, more_ms = KEYS[BOOK_KEYS + 1], KEYS[BOOK_KEYS + 2], tonumber(ARGV[3])
if #KEYS ~= BOOK_KEYS + 2 or #ARGV ~= 3 then
  return redis.error_reply('ERR extend: wrong number of keys or arguments')
end

-- facts
local last_write, hold_ms, hold_max_ms, currency =
  unpack(redis.call('HMGET', sale_key, 'last_write', 'hold_ms', 'hold_max_ms', 'currency'))
local now = guarded_now(last_write)
local converted = redis.call('EXISTS', order_key) == 1
local hold = hold_at(hold_key, now)

-- decision
if converted then return { 'hold_converted' } end
if not hold then return { 'hold_expired' } end
-- '' is as long as a hold lasts.
local latest = deadline_after(hold.made, tonumber(hold_max_ms) or tonumber(hold_ms))
local deadline = math.min(deadline_after(hold.deadline, more_ms), latest)
if deadline <= hold.deadline then return { 'extension_limit_reached', hold.deadline } end
local costs = costs_of(hold, currency)

-- effects
redis.call('SET', hold_key, hold_value(hold.lines, hold.made, deadline, hold.customer, hold.metadata), 'PXAT', int(deadline))
each_line(hold.lines, function(product, units)
  plan_due_back(hold.customer, hold.deadline, product, 'h', -units, now)
  plan_due_back(hold.customer, deadline, product, 'h', units, now)
end)
write_book()
return { 'extended', now, deadline, hold.lines, hold.customer, hold.metadata, costs }
