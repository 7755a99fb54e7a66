#!lua flags=no-writes
-- audit_orders: reads orders of a sale for an audit, and their places in the indexes.
--
-- uses   nothing
-- KEYS   1 orders ZSET, 2 due ZSET, 3 review_records HASH; then order STRINGs
-- ARGV   the id of each order
-- REPLY  orders, and for each its time in the index of orders or '', its deadline among those that are due or '', how many
--        (of the reviews that its payments name) do not exist, and its text ('' when its record is gone)
-- cost   O(orders)
-- e.g.   KEYS = { 'orders', 'due', 'review_records', 'order:o1' }  ARGV = { 'o1' }
--        ->  { 'orders', '4102444800000', '4102444850000', 0, 'pending 4102444800000...' }

-- names
local orders_key, due_key, records_key = KEYS[1], KEYS[2], KEYS[3]
local ORDERS = 3
if #KEYS < ORDERS or #KEYS ~= ORDERS + #ARGV then
  return redis.error_reply('ERR audit_orders: wrong number of keys or arguments')
end

-- facts
local reply = { 'orders' }
for i, id in ipairs(ARGV) do
  local order_key = KEYS[ORDERS + i]
  -- A key of another type must not end the audit.
  local is_read, text = pcall(redis.call, 'GET', order_key)
  text = is_read and (text or '') or 'unreadable\n'
  local lost = 0
  for facts in text:gmatch('\npayment:[^\n]*\n([^\n]*)') do
    for name, review in facts:gmatch('([%a_]+)=(%S+)') do
      local names_one = name == 'review' or name == 'dispute_review'
      if names_one and redis.call('HEXISTS', records_key, review) == 0 then lost = lost + 1 end
    end
  end
  reply[#reply + 1] = redis.call('ZSCORE', orders_key, id) or ''
  reply[#reply + 1] = redis.call('ZSCORE', due_key, id) or ''
  reply[#reply + 1] = lost
  reply[#reply + 1] = text
end
return reply
