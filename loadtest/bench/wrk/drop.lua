-- A drop: 30 products in three groups, 10,000 customers, two units for each of them in a group. Most want the first
-- products. Hold, order, payment event, and one of eight events comes twice.
dofile(debug.getinfo(1, "S").source:sub(2):match("^(.*/)") .. "done.lua")
local PRODUCTS, CUSTOMERS = 30, 10000
local json = { ["Content-Type"] = "application/json" }
local shares, steps = {}, {}

function init()
  for n = 1, PRODUCTS do
    for _ = 1, math.ceil(PRODUCTS / n) do shares[#shares + 1] = n end
  end
  math.randomseed(7)
end

function request()
  local step = table.remove(steps)
  if step then return step end
  local body = '{"product_id":%d,"quantity":1,"customer_id":"customer-%d"}'
  return wrk.format("POST", "/api/holds", json, body:format(shares[math.random(#shares)], math.random(CUSTOMERS)))
end

function response(_, _, body)
  local order = body:match('^{"id":"(order_[%w_-]+)"')
  local unit = not order and body:match('^{"id":"(hold_[%w_-]+)"')
  if order then
    local paid = '{"idempotency_key":"%s","payload":{"status":"paid","order_id":"%s"}}'
    for _ = 1, math.random(8) == 1 and 2 or 1 do
      steps[#steps + 1] = wrk.format("POST", "/api/payments/webhook", json, paid:format(order, order))
    end
  elseif unit then
    steps[#steps + 1] = wrk.format("POST", "/api/orders", json, ('{"hold_id":"%s"}'):format(unit))
  end
end
