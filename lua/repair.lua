#!lua
-- repair: makes counters, buckets, customers and indexes of a sale agree with its records, all of these differences or none.
-- Each is a sum that is added to what is stored, so they do not depend on each other. Counters of one product go together.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, records, book
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET
-- ARGV   1 retention_ms, 2 most events to keep, 3 last_write of the sale when it was audited; then for each difference a
--        text of lines: what, product, customer, order, instant in ms, stored value, value that follows from the records
-- REPLY  moved                    something was written since: audit again
--        below_zero, product      fewer units than none would be available: more are promised than there are
--        repaired, last_write
-- cost   O(differences + entries of their customers)
-- e.g.   KEYS = { book }  ARGV = { 60000, 1000, 4102444800000005, 'held\n1\n\n\n\n2\n3' }
--        ->  { 'repaired', '4102444800000006' }

-- names
local seen_write = ARGV[3]
local DIFFERENCES = 4
local DIFFERENCE = { 'what', 'product', 'customer', 'order', 'at', 'stored', 'recomputed' }
local KIND = { held_until = 'h', pending_until = 'p', held_deadline = 'h', pending_deadline = 'p',
  customer_held = 'h', customer_pending = 'p' }
if #KEYS ~= BOOK_KEYS or #ARGV < DIFFERENCES - 1 then
  return redis.error_reply('ERR repair: wrong number of keys or arguments')
end

local differences = {}
for i = DIFFERENCES, #ARGV do
  local difference = from_lines(DIFFERENCE, ARGV[i])
  if not difference then return redis.error_reply('ERR repair: a difference has seven lines') end
  difference.at = tonumber(difference.at)
  difference.delta = tonumber(difference.recomputed) - tonumber(difference.stored)
  differences[#differences + 1] = difference
end

-- facts
local last_write = redis.call('HGET', sale_key, 'last_write') or '0'
local now = guarded_now(last_write)

-- decision: in the book alone
if last_write ~= seen_write then return { 'moved' } end
local index_commands, buckets = {}, {}

local function plan_index(index_key, member, recomputed)
  index_commands[#index_commands + 1] =
    recomputed == '0' and { 'ZREM', index_key, member } or { 'ZADD', index_key, recomputed, member }
end

local function repair_counter(difference)
  add_units(difference.product, difference.what, difference.delta)
end

local function bucket_of(difference)
  return bucket_name(difference.at, difference.product, KIND[difference.what])
end

local function repair_bucket(difference)
  plan_due_back('', difference.at, difference.product, KIND[difference.what], difference.delta, now)
end

local function repair_deadline(difference)
  buckets[#buckets + 1] = { name = bucket_of(difference), at = difference.at }
end

local function repair_customer_due_back(difference)
  add_customer_due_back(difference.customer, bucket_of(difference), difference.delta, now)
end

local function repair_customer_bought(difference)
  add_customer_bought(difference.customer, difference.product, difference.delta, false, now)
end

local REPAIR = {
  available = repair_counter, held = repair_counter, pending = repair_counter, sold = repair_counter,
  held_until = repair_bucket, pending_until = repair_bucket,
  held_deadline = repair_deadline, pending_deadline = repair_deadline,
  customer_held = repair_customer_due_back, customer_pending = repair_customer_due_back,
  customer_bought = repair_customer_bought,
  order_index = function(difference) plan_index(orders_key, difference.order, difference.recomputed) end,
  due_index = function(difference) plan_index(due_key, difference.order, difference.recomputed) end,
}

for _, difference in ipairs(differences) do REPAIR[difference.what](difference) end
for id, product in pairs(products) do
  for _, counter in ipairs({ 'available', 'held', 'pending', 'sold' }) do
    if product and product[counter] < 0 then return { 'below_zero', id } end
  end
end

-- effects
for _, difference in ipairs(differences) do
  log_event('sale.repaired', now, 'repair', difference.what, 'product', difference.product, 'customer', difference.customer,
    'order', difference.order, 'instant', difference.at and int(difference.at) or '', 'stored', difference.stored,
    'recomputed', difference.recomputed)
end
write_book()
for _, command in ipairs(index_commands) do redis.call(unpack(command)) end
-- An index that names a missing bucket would end every decision once it is due, so it follows the buckets as they are now.
for _, bucket in ipairs(buckets) do
  if tonumber(redis.call('HGET', lapses_key, bucket.name) or 0) > 0 then
    redis.call('ZADD', deadlines_key, int(bucket.at), bucket.name)
  else
    redis.call('ZREM', deadlines_key, bucket.name)
  end
end
redis.call('HSET', sale_key, 'first_due', 0)
return { 'repaired', int(written_at) }
