#!lua
-- repair: makes counters, buckets, customers and indexes of a sale say what its records say; all that is asked for or nothing.
-- Each is a sum that is added to what is there, so they do not depend on each other; but counters of one product go together.
--
-- uses   clock, units, customers, records, book
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET
-- ARGV   1 retention_ms, 2 most events to keep, 3 last_now of the sale when it was audited; then for each difference, a line each:
--        what, product, customer, order, instant in ms, what is stored, what the records say
-- REPLY  moved                    something was written since: audit again
--        below_zero, product      fewer units than none would be available: more are promised than there are
--        repaired, last_now
-- cost   O(differences + entries of their customers)

-- names
local seen_now = ARGV[3]
local FIRST = 4
local KIND = { held_until = 'h', pending_until = 'p', held_deadline = 'h', pending_deadline = 'p',
  customer_held = 'h', customer_pending = 'p' }

local function read_difference(text)
  local what, product, customer, order, at, stored, recomputed =
    text:match('^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
  return { what = what, product = product, customer = customer, order = order, at = tonumber(at), stored = stored,
    recomputed = recomputed, delta = tonumber(recomputed) - tonumber(stored) }
end

-- facts
local last_now = redis.call('HGET', sale_key, 'last_now') or '0'
-- As of the millisecond before: whatever follows in this one is later, and leaves its trace in last_now.
local now = guarded_now(last_now) - 1
local differences = {}
for i = FIRST, #ARGV do differences[#differences + 1] = read_difference(ARGV[i]) end

-- decision: in the book alone
if last_now ~= seen_now or now <= tonumber(last_now) then return { 'moved' } end
local indexes, buckets = {}, {}

local function put_in_index(index_key, member, d)
  indexes[#indexes + 1] = d.recomputed == '0' and { 'ZREM', index_key, member } or { 'ZADD', index_key, d.recomputed, member }
end

local function plan_counter(d)
  add(moved, d.product .. ':' .. d.what, d.delta)
end

local function plan_bucket(d)
  plan_owe('', d.at, d.product, KIND[d.what], d.delta, now)
end

local function plan_deadline(d)
  buckets[#buckets + 1] = { name = bucket(d.at, d.product, KIND[d.what]), at = d.at }
end

local function plan_customer_owes(d)
  customer_owes(d.customer, bucket(d.at, d.product, KIND[d.what]), d.delta, now)
end

-- What is bought is set here and not by customer_buys: nobody buys anything, so nobody's abandoned holds are forgotten.
local function plan_customer_bought(d)
  add_or_drop(customer_at(d.customer, now).bought, d.product, d.delta)
  touched[d.customer] = true
end

local PLAN = {
  available = plan_counter, held = plan_counter, pending = plan_counter, sold = plan_counter,
  held_until = plan_bucket, pending_until = plan_bucket,
  held_deadline = plan_deadline, pending_deadline = plan_deadline,
  customer_held = plan_customer_owes, customer_pending = plan_customer_owes, customer_bought = plan_customer_bought,
  order_index = function(d) put_in_index(orders_key, d.order, d) end,
  due_index = function(d) put_in_index(due_key, d.order, d) end,
}

for _, d in ipairs(differences) do PLAN[d.what](d) end
for counter, units in pairs(moved) do
  if units + (redis.call('HGET', stock_key, counter) or 0) < 0 then return { 'below_zero', counter:match('^%d+') } end
end

-- effects
for _, d in ipairs(differences) do
  log[#log + 1] = { 'type', 'sale.repaired', 'at', int(now), 'repair', d.what, 'product', d.product, 'customer', d.customer,
    'order', d.order, 'instant', d.at and int(d.at) or '', 'stored', d.stored, 'recomputed', d.recomputed }
end
write_book(now)
for _, command in ipairs(indexes) do redis.call(unpack(command)) end
-- An index that names a bucket which is not there would end every decision once it is due, so it follows what is there now.
for _, b in ipairs(buckets) do
  if tonumber(redis.call('HGET', lapses_key, b.name) or 0) > 0 then
    redis.call('ZADD', deadlines_key, int(b.at), b.name)
  else
    redis.call('ZREM', deadlines_key, b.name)
  end
end
return { 'repaired', now }
