-- orders: what happens to holds and orders in more than one script. Uses clock, units and records.

-- What an order made of this hold now would say: its lines with today's prices, and the total. Prices are whole
-- numbers and bounded (see domain/money.rs), so that the products and the sum stay below 2^53 and are exact.
local function quote(hold)
  local lines, total = {}, 0
  each_line(hold.lines, function(product, units)
    local price = redis.call('HGET', stock_key, product .. ':price')
    lines[#lines + 1] = product .. '=' .. int(units) .. '@' .. price
    total = total + units * price
  end)
  return { lines = table.concat(lines, ','), total = int(total), currency = redis.call('HGET', sale_key, 'currency') }
end

local function create_order(order_key, hold, quoted, status, now, due)
  redis.call('HSET', order_key, 'status', status, 'lines', quoted.lines, 'total', quoted.total,
    'currency', quoted.currency, 'customer', hold.customer, 'created', int(now), 'due', int(due),
    'hold_deadline', int(hold.deadline))
end

local function release_hold(hold_key, hold)
  redis.call('DEL', hold_key)
  each_line(hold.lines, function(product, units)
    move(product, 'held', 'available', units)
    forgive(hold.deadline, product, 'h', units)
  end)
end

-- by: customer, admin or payment. The units of an order that lapsed come back through its bucket, never here.
local function cancel_pending(order_key, order, by, now)
  redis.call('HSET', order_key, 'status', 'cancelled', 'cancelled_by', by)
  local due = tonumber(order.due)
  if now > due then return end
  each_line(order.lines, function(product, units)
    move(product, 'pending', 'available', units)
    forgive(due, product, 'p', units)
  end)
end
