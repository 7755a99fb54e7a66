#!lua
-- change_product: changes name, metadata, price or limits of a product. Holds and orders keep the price with which they were
-- made.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, rules, records, book, products, sales
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET, 9 product HASH
-- ARGV   1 retention_ms, 2 most events to keep, 3 product id, 4 the most that price times max_per_hold may be; then field
--        and value of each change: name, metadata ('': none), price, max_per_hold, and the rules max_per_customer, group,
--        visibility and archived ('1'), each '' for its default; and sku, one that it got in the directory just now
-- REPLY  behind                   lapsed units are left to reclaim: nothing was decided, call again
--        product_not_found
--        price_too_large          price times max_per_hold
--        changed, now, currency, starts, ends, paused, product row, its row before or {}: nothing changed
-- cost   O(1 + due buckets)
-- e.g.   KEYS = { book, 'product:1' }  ARGV = { 60000, 1000, '1', 500000000000000, 'price', 490000 }
--        ->  { 'changed', 4102444800000, 'USD', '', '', '0', { '1', 'Item', '', '490000', '10', ... },
--        { '1', 'Item', '', '500000', ... } }

-- names
local product_key, id, line_total_max = KEYS[BOOK_KEYS + 1], ARGV[3], tonumber(ARGV[4])
local CHANGES = 5
local PRODUCT_RULES = { max_per_customer = true, group = true, visibility = true, archived = true }
if #KEYS ~= BOOK_KEYS + 1 or #ARGV < CHANGES - 1 or #ARGV % 2 ~= 0 then
  return redis.error_reply('ERR change_product: wrong number of keys or arguments')
end

-- facts
local last_write, known_due, currency, starts, ends, paused =
  unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due', 'currency', 'starts', 'ends', 'paused'))
local now = guarded_now(last_write)
if reclaim(now, known_due) then return { 'behind' } end
local product = product_at(id)
local earlier_prices = redis.call('HGET', stock_key, id .. ':earlier_prices')
local price, rules = product and product.price:match('^%d+'), product and product.rules or ''
local changes = { price = price, max_per_hold = product and product.max_per_hold, rules = rules }
local before = product_row(id, product_key)
for i = CHANGES, #ARGV, 2 do
  local field, value = ARGV[i], ARGV[i + 1]
  if PRODUCT_RULES[field] then field, value = 'rules', with_rule(changes.rules, field, value) end
  changes[field] = value
end

-- decision
if not product then return { 'product_not_found' } end
if changes.price * changes.max_per_hold > line_total_max then return { 'price_too_large' } end

-- effects: a hold costs what it did when it was made (price_at in lib/prices)
changed_product(id)
product.max_per_hold, product.rules = tonumber(changes.max_per_hold), changes.rules
if changes.price ~= price then
  local EARLIER_MAX = 50
  local until_ms, prices = int(deadline_after(now, 0)), {}
  for entry in (earlier_prices or ''):gmatch('%S+') do prices[#prices + 1] = entry end
  local last = prices[#prices]
  if not last or last:match('%d+$') ~= until_ms then prices[#prices + 1] = price .. '<' .. until_ms end
  product.price = changes.price .. '>' .. until_ms
  redis.call('HSET', stock_key, id .. ':earlier_prices', table.concat(prices, ' ', math.max(1, #prices - EARLIER_MAX + 1)))
end
-- Kept, so that the same call does not log it again.
local new_sku = changes.sku ~= redis.call('HGET', product_key, 'sku') and changes.sku
if new_sku then redis.call('HSET', product_key, 'sku', new_sku) end
if changes.name then redis.call('HSET', product_key, 'name', changes.name) end
if changes.metadata == '' then redis.call('HDEL', product_key, 'metadata') end
if changes.metadata and changes.metadata ~= '' then redis.call('HSET', product_key, 'metadata', changes.metadata) end
write_products()
local row = product_row(id, product_key)
if not new_sku and table.concat(row, '\n') == table.concat(before, '\n') then
  before = {}
else
  local is_archived = read_rules(changes.rules).archived and not read_rules(rules).archived
  local kind = is_archived and 'product.archived' or 'product.changed'
  log_product_event(kind, row, now, before, unpack(new_sku and { 'sku', new_sku } or {}))
  write_book()
end
return { 'changed', now, currency, starts or '', ends or '', paused or '', row, before }
