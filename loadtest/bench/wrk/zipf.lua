-- Holds of 1,000 products, of which a few are what most want: the n-th is wanted 1/n as often as the first.
dofile(debug.getinfo(1, "S").source:sub(2):match("^(.*/)") .. "done.lua")
local PRODUCTS, SHARES = 1000, 65536
local json = { ["Content-Type"] = "application/json" }
local wishes, shares = {}, {}

-- A table with as many entries for a product as it has of all wishes makes a choice one look.
function init()
  local sum, upto = 0, 0
  for n = 1, PRODUCTS do sum = sum + 1 / n end
  for n = 1, PRODUCTS do
    wishes[n] = wrk.format("POST", "/api/holds", json, ('{"product_id":%d,"quantity":1}'):format(n))
    upto = upto + SHARES / n / sum
    while #shares < upto do shares[#shares + 1] = n end
  end
  math.randomseed(7)
end

function request()
  return wishes[shares[math.random(#shares)]]
end
