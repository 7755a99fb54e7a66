-- A drop: 30 products in three groups, 10,000 customers, two units for each of them in a group. Most want the first
-- products. Hold, order, payment event, and one of eight events comes twice.
local folder = debug.getinfo(1, "S").source:sub(2):match("^(.*/)")
dofile(folder .. "done.lua")
dofile(folder .. "purchase.lua")
local PRODUCTS, CUSTOMERS = 30, 10000
local shares, steps = {}, {}

function init()
  for n = 1, PRODUCTS do
    for _ = 1, math.ceil(PRODUCTS / n) do shares[#shares + 1] = n end
  end
  math.randomseed(7)
end

function request()
  local body = '{"product_id":%d,"quantity":1,"customer_id":"customer-%d"}'
  return table.remove(steps) or hold(body:format(shares[math.random(#shares)], math.random(CUSTOMERS)))
end

function response(_, _, body)
  local step, is_payment = next_step(body)
  steps[#steps + 1] = step
  if is_payment and math.random(8) == 1 then steps[#steps + 1] = step end
end
