#!lua flags=no-writes
-- audit_orders: orders of a sale as they stand, and whether they are where they must be found.
--
-- uses   nothing
-- KEYS   1 orders ZSET, 2 due ZSET, 3 review_records HASH; then order HASHes
-- ARGV   the id of each order
-- REPLY  orders, and for each its time in the index of orders or '', its deadline among those that are due or '',
--        1 or 0: whether the review that it names is there, and its fields as a list, which is empty when it is gone
-- cost   O(orders)

-- names
local orders_key, due_key, records_key = KEYS[1], KEYS[2], KEYS[3]
local FIRST = 4

-- facts
local reply = { 'orders' }
for i = FIRST, #KEYS do
  local id = ARGV[i - FIRST + 1]
  -- A key of another type must not end the audit.
  local is_read, fields = pcall(redis.call, 'HGETALL', KEYS[i])
  local review = is_read and redis.call('HGET', KEYS[i], 'review')
  reply[#reply + 1] = redis.call('ZSCORE', orders_key, id) or ''
  reply[#reply + 1] = redis.call('ZSCORE', due_key, id) or ''
  reply[#reply + 1] = review and redis.call('HEXISTS', records_key, review) or 0
  reply[#reply + 1] = is_read and fields or { 'unreadable', '' }
end
return reply
