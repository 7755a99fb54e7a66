#!lua
-- put_sale: makes a sale with its terms. A sale can exist before it has products; the first of these gives it its currency.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, records, book, sales
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET
-- ARGV   1 retention_ms, 2 most events to keep, then field and value of each term
-- REPLY  already_exists
--        created, the terms as a list
-- cost   O(terms)
-- e.g.   KEYS = { book }  ARGV = { 60000, 1000, 'name', 'Drop', 'hold_ms', 100000 }  ->  { 'created', { ... } }

-- names
local TERMS = 3
if #KEYS ~= BOOK_KEYS or #ARGV <= TERMS or #ARGV % 2 ~= 0 then
  return redis.error_reply('ERR put_sale: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_write'))
local exists = redis.call('HEXISTS', sale_key, 'hold_ms') == 1

-- decision
if exists then return { 'already_exists' } end

-- effects
make_sale({ unpack(ARGV, TERMS) })
log_sale_event('sale.created', now)
write_book()
return { 'created', sale_terms() }
