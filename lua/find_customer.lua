#!lua flags=no-writes
-- find_customer: reads what counts for a customer in a sale.
--
-- uses   keys, clock, buckets, stock, units, customers
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH
-- ARGV   1 customer
-- REPLY  customer_not_found, now       nothing counts
--        found, now, holds and orders that were abandoned, when the last was in ms or 0, units that come back, units bought
--          (two lists: of bucket names and their units, of products and their units)
-- cost   O(entries of the customer)
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines', 'customers' }  ARGV = { 'alice' }
--        ->  { 'found', 4102444800000, 0, 0, { '4102444900000:1:h', 2 }, {} }

-- names
local id = ARGV[1]
if #KEYS ~= 5 or #ARGV ~= 1 then
  return redis.error_reply('ERR find_customer: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_write'))
local text = redis.call('HGET', customers_key, id)

-- decision
if not text then return { 'customer_not_found', now } end
local customer = read_customer(text, now)
local due_back, bought = {}, {}
for name, units in pairs(customer.due_back) do
  due_back[#due_back + 1] = name
  due_back[#due_back + 1] = units
end
for product, units in pairs(customer.bought) do
  bought[#bought + 1] = product
  bought[#bought + 1] = units
end
return { 'found', now, customer.abandoned, customer.abandoned_at, due_back, bought }
