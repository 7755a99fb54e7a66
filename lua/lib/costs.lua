-- costs: what a hold costs. Uses stock, records and prices.

-- '<currency> <prices>', what one unit of each line costs: 'USD 500000,120000'. lua/hold.lua writes it too.
local function costs_of(hold, currency)
  local prices = {}
  each_line(hold.lines, function(product)
    prices[#prices + 1] = price_at(product, product_at(product).price, hold.made)
  end)
  return currency .. ' ' .. table.concat(prices, ',')
end
