-- prices: what a unit costs. Uses keys.

-- What one unit of a product costs in a hold that was made then (epoch milliseconds). A change of price counts for holds of
-- later seconds, because a hold is stored with the second of its making. `price` is what the product has, as
-- lua/change_product.lua writes it: '600000', or after a change '600000>1795716624000', the price in holds that were made
-- later than that. Earlier prices are '500000<1795716624000', the price until that instant.
local function price_at(product, price, made)
  if not price:find('>', 1, true) then return price end
  local current, later_than = price:match('^(%d+)>(%d+)$')
  if made > tonumber(later_than) then return current end
  for before, changed in redis.call('HGET', stock_key, product .. ':earlier_prices'):gmatch('(%d+)<(%d+)') do
    if made <= tonumber(changed) then return before end
  end
end
