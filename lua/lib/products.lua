-- products: a product as a reader sees it. Uses units.

local COUNTERS = { 'price', 'total', 'available', 'held', 'pending', 'sold', 'max_per_hold', 'rules' }

-- A product row is a list: id, name,
-- metadata or '',
-- price in ten-thousandths, total, available, held, pending, sold, max_per_hold,
-- rules (lib/rules), and when units come back next in epoch milliseconds or 0. It is empty when there is no product.
local function product_row(id, product_key)
  local fields = {}
  for i, counter in ipairs(COUNTERS) do fields[i] = id .. ':' .. counter end
  local price, total, available, held, pending, sold, max_per_hold, rules =
    unpack(redis.call('HMGET', stock_key, unpack(fields)))
  if not price then return {} end
  local name, metadata = unpack(redis.call('HMGET', product_key, 'name', 'metadata'))
  local comes_back = held ~= '0' or pending ~= '0'
  -- When it changed says lib/prices.
  return { id, name,
    metadata or '',
    price:match('^%d+'), total, available, held, pending, sold, max_per_hold, rules or '',
    comes_back and next_release(id) or 0 }
end
