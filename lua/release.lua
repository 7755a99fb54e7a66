#!lua flags=allow-oom
-- release: gives the units of a live hold back before its deadline. Where the sale says so, one that a
-- buyer gives back counts for a cool-down.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, prices, records, book, orders
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 hold STRING, 10 order STRING
-- ARGV   1 retention_ms, 2 most events to keep, 3 by: buyer, or service where nobody learned of the hold
-- REPLY  hold_converted    it became an order
--        hold_expired      it lapsed or was released
--        released
-- cost   O(lines)
-- e.g.   KEYS = { book, 'hold:h1', 'order:h1' }  ARGV = { 60000, 1000, 'buyer' }  ->  { 'released' }

-- names
local hold_key, order_key, by = KEYS[BOOK_KEYS + 1], KEYS[BOOK_KEYS + 2], ARGV[3]
if #KEYS ~= BOOK_KEYS + 2 or #ARGV ~= 3 then
  return redis.error_reply('ERR release: wrong number of keys or arguments')
end

-- facts
local last_write, counts = unpack(redis.call('HMGET', sale_key, 'last_write', 'cooldown_counts_releases'))
local now = guarded_now(last_write)
local converted = redis.call('EXISTS', order_key) == 1
local hold = hold_at(hold_key, now)

-- decision
if converted then return { 'hold_converted' } end
if not hold then return { 'hold_expired' } end

-- effects
release_hold(hold_key, hold, now)
if counts == '1' and by == 'buyer' then abandon(hold.customer, now) end
write_book()
return { 'released' }
