-- products: a product as a reader sees it. Uses keys and units.

-- A product row is a list: id, name,
-- metadata or '',
-- price in ten-thousandths, total, available, held, pending, sold, max_per_hold,
-- rules (lib/rules), when units come back next in epoch milliseconds or 0, and units lent to other shards, less those that
-- these lent. It is empty when there is no product, and ends behind metadata and '' where its text cannot be read.
local function product_row(id, product_key)
  local text, lent = unpack(redis.call('HMGET', stock_key, id, id .. ':lent'))
  if not text then return {} end
  -- As lib/stock reads it, but the digits are kept. When the price changed says lib/prices.
  local available, held, pending, sold, total, price, max_per_hold, rules =
    text:match('^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%d+)%S* (%d+) (.*)$')
  local name, metadata = unpack(redis.call('HMGET', product_key, 'name', 'metadata'))
  local comes_back = held ~= '0' or pending ~= '0'
  return { id, name,
    metadata or '',
    price or '', total, available, held, pending, sold, max_per_hold, rules,
    comes_back and next_release(id) or 0, lent or '0' }
end
