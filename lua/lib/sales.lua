-- sales: the terms of a sale. Uses units and book.

-- Its whole record as a list of fields and values.
local function sale_terms()
  return redis.call('HGETALL', sale_key)
end

-- An event of the sale itself, with its terms as they are now.
local function emit_sale(kind, now)
  log[#log + 1] = { 'type', kind, 'at', int(now), 'terms', '1', unpack(sale_terms()) }
end

-- An event of a product, as it is now. The row is that of lib/products.
local function emit_product(kind, row, now)
  local sale = redis.call('HMGET', sale_key, 'currency', 'starts', 'ends', 'paused')
  log[#log + 1] = { 'type', kind, 'at', int(now), 'product', row[1], 'currency', sale[1], 'starts', sale[2] or '',
    'ends', sale[3] or '', 'paused', sale[4] or '',
    'name', row[2], 'price', row[3], 'total', row[4], 'available', row[5], 'held', row[6], 'pending', row[7], 'sold', row[8],
    'max_per_hold', row[9], 'max_per_customer', row[10], 'next_release', row[11] }
end
