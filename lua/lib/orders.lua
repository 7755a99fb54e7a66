-- orders: what more than one script does to holds and orders. Uses clock, units, customers, holds, prices, records and book.

-- By the lines of a hold and when it was made.
local quotes = {}

-- Lines, total and currency of an order that is made of this hold, at the prices that the hold was made at. Prices are whole
-- numbers and bounded (src/domain/money.rs), so the products and the sum stay below 2^53 and are exact.
local function quote(hold, currency)
  local name = hold.lines .. ' ' .. hold.made
  if quotes[name] then return quotes[name] end
  local lines, total = {}, 0
  each_line(hold.lines, function(product, units)
    local price = price_at(product, product_at(product).price, hold.made)
    lines[#lines + 1] = priced_line(product, units, price)
    total = total + units * price
  end)
  quotes[name] = { lines = table.concat(lines, ','), total = int(total), currency = currency }
  return quotes[name]
end

-- Makes the order of a hold: its units are pending until the deadline.
local function create_order(hold_key, order_key, hold, quoted, now, due)
  end_hold(hold_key)
  each_line(hold.lines, function(product, units)
    ordered[product] = true
    plan_move(product, 'held', 'pending', units)
    plan_due_back(hold.customer, hold.deadline, product, 'h', -units, now)
    plan_due_back(hold.customer, due, product, 'p', units, now)
  end)
  add_order(order_key, { status = 'pending', created = int(now), due = int(due), hold_deadline = int(hold.deadline),
    lines = quoted.lines, total = quoted.total, currency = quoted.currency, customer = hold.customer })
  if hold.metadata ~= '' then change_order(order_key, 'metadata', hold.metadata) end
  log_order_event('order.created', order_key, now)
end

local function release_hold(hold_key, hold, now)
  end_hold(hold_key)
  each_line(hold.lines, function(product, units)
    plan_move(product, 'held', 'available', units)
    plan_due_back(hold.customer, hold.deadline, product, 'h', -units, now)
  end)
end

-- Whether the deadline has passed at which the units of an order come back.
local function has_lapsed(order, now)
  return (order.status == 'pending' or order.status == 'in_review') and now > tonumber(order.due)
end

-- Records once that an order has lapsed. Its units come back through its bucket, never here. The money of an order that
-- waited for a person must go back.
local function expire(order_key, order, now)
  if not has_lapsed(order, now) or order.expired_at then return false end
  if order.status == 'in_review' then
    change_order(order_key, 'status', 'refund_required', 'reason', 'review_expired')
    log_order_event('order.refund_required', order_key, now)
  else
    change_order(order_key, 'expired_at', int(now))
    log_order_event('order.expired', order_key, now)
  end
  return true
end

-- A person closed it, so no payment opens it again.
local function is_closed(order)
  return order.cancelled_by == 'customer' or order.cancelled_by == 'admin'
end

-- by: customer, admin, payment (it ended) or shop (its own webhook said so).
local function cancel_pending(order_key, order, by, now)
  if has_lapsed(order, now) then
    expire(order_key, order, now)
  else
    local due = tonumber(order.due)
    each_line(order.lines, function(product, units)
      plan_move(product, 'pending', 'available', units)
      plan_due_back(order.customer, due, product, 'p', -units, now)
    end)
    -- Who cancels in time would else go around a cool-down. A buyer can make a payment end, an admin decides alone.
    if by ~= 'admin' then abandon(order.customer, now) end
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

-- Nothing is to be paid, so no payment is waited for. What costs nothing ends no cool-down.
local function pay_free_order(order_key, order, now)
  each_line(order.lines, function(product, units)
    plan_move(product, 'pending', 'sold', units)
    plan_due_back(order.customer, tonumber(order.due), product, 'p', -units, now)
    add_customer_bought(order.customer, product, units, false, now)
  end)
  change_order(order_key, 'status', 'paid', 'paid_at', int(now))
  log_order_event('order.paid', order_key, now)
end

-- Cancels an order that is paid by no payment, so only its units go back. by: as in cancel_pending.
local function cancel_free(order_key, order, by, now)
  each_line(order.lines, function(product, units)
    plan_move(product, 'sold', 'available', units)
    add_customer_bought(order.customer, product, -units, false, now)
  end)
  if by ~= 'admin' then abandon(order.customer, now) end
  drop_field(order_key, 'paid_at')
  change_order(order_key, 'status', 'cancelled', 'cancelled_by', by)
  log_order_event('order.cancelled', order_key, now)
end
