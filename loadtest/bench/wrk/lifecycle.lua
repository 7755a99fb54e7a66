-- Hold, order, payment event: each answer decides the next request.
dofile(debug.getinfo(1, "S").source:sub(2):match("^(.*/)") .. "done.lua")
local json = { ["Content-Type"] = "application/json" }
local hold

function init()
  hold = wrk.format("POST", "/api/holds", json, '{"product_id":1,"quantity":1}')
  steps = {}
end

function request()
  return table.remove(steps) or hold
end

function response(_, _, body)
  local order = body:match('^{"id":"(order_[%w_-]+)"')
  local unit = not order and body:match('^{"id":"(hold_[%w_-]+)"')
  if order then
    local paid = '{"idempotency_key":"%s","payload":{"status":"paid","order_id":"%s"}}'
    table.insert(steps, wrk.format("POST", "/api/payments/webhook", json, paid:format(order, order)))
  elseif unit then
    table.insert(steps, wrk.format("POST", "/api/orders", json, ('{"hold_id":"%s"}'):format(unit)))
  end
end
