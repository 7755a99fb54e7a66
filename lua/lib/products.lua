-- products: a product as a reader sees it. Uses units.

local COUNTERS = { 'price', 'total', 'available', 'held', 'pending', 'sold', 'max_per_hold', 'rules', 'lent' }

-- A product row is a list: id, name,
-- metadata or '',
-- price in ten-thousandths, total, available, held, pending, sold, max_per_hold,
-- rules (lib/rules), when units come back next in epoch milliseconds or 0, and units lent to other shards, less those that
-- these lent. It is empty when there is no product.
local function product_row(id, product_key)
  local fields = {}
  for i, counter in ipairs(COUNTERS) do fields[i] = id .. ':' .. counter end
  local price, total, available, held, pending, sold, max_per_hold, rules, lent =
    unpack(redis.call('HMGET', stock_key, unpack(fields)))
  if not price then return {} end
  local name, metadata = unpack(redis.call('HMGET', product_key, 'name', 'metadata'))
  local comes_back = held ~= '0' or pending ~= '0'
  -- When it changed says lib/prices.
  return { id, name,
    metadata or '',
    price:match('^%d+'), total, available, held, pending, sold, max_per_hold, rules or '',
    comes_back and next_release(id) or 0, lent or '0' }
end
