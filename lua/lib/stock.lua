-- stock: the products of a sale, read and written. Uses keys, clock and buckets.
-- `stock` has a product as one text, because one field of a hash costs a part of what many cost:
--   <available> <held> <pending> <sold> <total> <price> <max_per_hold> <rules>
-- The first five count units. lib/prices has the price, and lib/rules the rules, '' for most products.

-- By id, as they are at this point of the script. false: there is no such product, or its text is damaged. Then the ids of
-- those that the script changed.
local products, changed_products = {}, {}

local function read_product(text)
  local available, held, pending, sold, total, price, max_per_hold, rules =
    text:match('^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%d+>?%d*) (%d+) (.*)$')
  return available and { available = tonumber(available), held = tonumber(held), pending = tonumber(pending),
    sold = tonumber(sold), total = tonumber(total), price = price, max_per_hold = tonumber(max_per_hold), rules = rules,
    is_changed = false, available_before = tonumber(available) } or false
end

local function product_text(product)
  return string.format('%d %d %d %d %d %s %d %s', product.available, product.held, product.pending, product.sold,
    product.total, product.price, product.max_per_hold, product.rules)
end

-- One read for all of them, each named once.
local function read_products(ids)
  local texts = values_of(stock_key, ids)
  for i = 1, #ids do products[ids[i]] = texts[i] and read_product(texts[i]) end
end

local function product_at(id)
  local product = products[id]
  if product == nil then
    local text = redis.call('HGET', stock_key, id)
    product = text and read_product(text)
    products[id] = product
  end
  return product
end

-- The product, to be changed and then written, or false.
local function changed_product(id)
  local product = product_at(id)
  if product and not product.is_changed then
    product.is_changed = true
    changed_products[#changed_products + 1] = id
  end
  return product
end

-- counter: available, held, pending, sold or total. What somebody damaged has no counters: an audit shows that.
local function add_units(id, counter, units)
  local product = changed_product(id)
  if product then product[counter] = product[counter] + units end
end

-- Writes the products that were changed. True: units of some became available.
local function write_products()
  local texts, frees_some = {}, false
  for i = 1, #changed_products do
    local id = changed_products[i]
    local product = products[id]
    texts[2 * i - 1], texts[2 * i] = id, product_text(product)
    frees_some = frees_some or product.available > product.available_before
    product.is_changed, product.available_before = false, product.available
  end
  write_all('HSET', stock_key, texts)
  changed_products = {}
  return frees_some
end
