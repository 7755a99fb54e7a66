-- Holds of 1,000 products, most of them for a few: the n-th product gets 1/n as many as the first.
dofile(debug.getinfo(1, "S").source:sub(2):match("^(.*/)") .. "done.lua")
local PRODUCTS, SHARES = 1000, 65536
local json = { ["Content-Type"] = "application/json" }
local holds, shares = {}, {}

-- Each product has entries in a table by its share, so that a choice is one random index.
function init()
  local sum, upto = 0, 0
  for n = 1, PRODUCTS do sum = sum + 1 / n end
  for n = 1, PRODUCTS do
    holds[n] = wrk.format("POST", "/api/holds", json, ('{"product_id":%d,"quantity":1}'):format(n))
    upto = upto + SHARES / n / sum
    while #shares < upto do shares[#shares + 1] = n end
  end
  math.randomseed(7)
end

function request()
  return holds[shares[math.random(#shares)]]
end
