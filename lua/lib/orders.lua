-- orders: what more than one script does to holds and orders. Uses clock, units, customers, holds, records and book.

-- By the lines of a hold.
local quotes = {}

-- Lines, total and currency of an order that is made of this hold now, at today's prices. Prices are whole numbers and
-- bounded (src/domain/money.rs), so the products and the sum stay below 2^53 and are exact.
local function quote(hold, currency)
  if quotes[hold.lines] then return quotes[hold.lines] end
  local lines, total = {}, 0
  each_line(hold.lines, function(product, units)
    local price = redis.call('HGET', stock_key, product .. ':price')
    lines[#lines + 1] = priced_line(product, units, price)
    total = total + units * price
  end)
  local quoted = { lines = table.concat(lines, ','), total = int(total), currency = currency }
  quotes[hold.lines] = quoted
  return quoted
end

-- The units stay where they are. The caller moves them.
local function create_order(hold_key, order_key, hold, quoted, now, due)
  end_hold(hold_key)
  add_order(order_key, { 'status', 'pending', 'lines', quoted.lines, 'total', quoted.total, 'currency', quoted.currency,
    'customer', hold.customer, 'created', int(now), 'due', int(due), 'hold_deadline', int(hold.deadline) })
  log_order_event('order.created', order_key, now)
end

local function release_hold(hold_key, hold, now)
  end_hold(hold_key)
  each_line(hold.lines, function(product, units)
    plan_move(product, 'held', 'available', units)
    plan_due_back(hold.customer, hold.deadline, product, 'h', -units, now)
  end)
end

local function has_lapsed(order, now)
  return order.status == 'pending' and now > tonumber(order.due)
end

-- Records once that a pending order has lapsed. Its units come back through its bucket, never here.
local function expire(order_key, order, now)
  if not has_lapsed(order, now) or order.expired_at then return false end
  change_order(order_key, 'expired_at', int(now))
  log_order_event('order.expired', order_key, now)
  return true
end

-- by: customer, admin or payment.
local function cancel_pending(order_key, order, by, now)
  if has_lapsed(order, now) then
    expire(order_key, order, now)
  else
    local due = tonumber(order.due)
    each_line(order.lines, function(product, units)
      plan_move(product, 'pending', 'available', units)
      plan_due_back(order.customer, due, product, 'p', -units, now)
    end)
  end
  change_order(order_key, 'status', 'cancelled', 'cancelled_by', by)
  log_order_event('order.cancelled', order_key, now)
end

-- The buyer is paying: moves the deadline of a pending order once, as far as the sale lets it go. A sale from before there
-- was a cap has none in its record. The caller then gives the time to pay, so that nothing moves and no batch fails.
local function start_payment(order_key, order, payment_ms, payment_max_ms, now)
  local due = tonumber(order.due)
  local cap = deadline_after(tonumber(order.created), payment_max_ms)
  local later = math.max(due, math.min(deadline_after(now, payment_ms), cap))
  each_line(order.lines, function(product, units)
    plan_due_back(order.customer, due, product, 'p', -units, now)
    plan_due_back(order.customer, later, product, 'p', units, now)
  end)
  change_order(order_key, 'started_at', int(now), 'due', int(later))
  log_order_event('order.payment_started', order_key, now)
end
