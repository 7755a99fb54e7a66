-- What comes next in a purchase: the order of a hold, and the payment of an order.
local json = { ["Content-Type"] = "application/json" }

function hold(body)
  return wrk.format("POST", "/api/holds", json, body)
end

-- The request behind this answer, and whether it is a payment event. nil: the purchase is over, or was refused.
function next_step(body)
  local order = body:match('^{"id":"(order_[%w_-]+)"')
  local unit = not order and body:match('^{"id":"(hold_[%w_-]+)"')
  if order then
    local paid = '{"idempotency_key":"%s","payload":{"status":"paid","order_id":"%s"}}'
    return wrk.format("POST", "/api/payments/webhook", json, paid:format(order, order)), true
  elseif unit then
    return wrk.format("POST", "/api/orders", json, ('{"hold_id":"%s"}'):format(unit)), false
  end
end
