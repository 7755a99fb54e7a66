-- products: a product as a reader sees it. Uses units.

local COUNTERS = { 'price', 'total', 'available', 'held', 'pending', 'sold', 'max_per_hold', 'max_per_customer' }

-- As a list, empty when there is none: id, name, price in ten-thousandths, total, available, held, pending, sold, max_per_hold,
-- max_per_customer or '', and when units come back next in epoch milliseconds or 0.
local function product_row(id, product_key)
  local fields = {}
  for i, counter in ipairs(COUNTERS) do fields[i] = id .. ':' .. counter end
  local f = redis.call('HMGET', stock_key, unpack(fields))
  if not f[1] then return {} end
  local name = redis.call('HGET', product_key, 'name')
  local coming_back = f[4] ~= '0' or f[5] ~= '0'
  return { id, name, f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8] or '', coming_back and next_release(id) or 0 }
end
