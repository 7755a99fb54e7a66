#!lua
-- repair: makes counters, buckets, customers and indexes of a sale say what its records say; all that is asked for or nothing.
-- Each is a sum that is added to what is there, so they do not depend on each other.
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
local KIND = { held_until = 'h', pending_until = 'p', customer_held = 'h', customer_pending = 'p' }
local COUNTER_OF = { held_until = 'held', pending_until = 'pending', held = 'held', pending = 'pending', sold = 'sold' }

local function read_difference(text)
  local what, product, customer, order, at, stored, recomputed =
    text:match('^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
  return { what = what, product = product, customer = customer, order = order, at = tonumber(at), stored = stored,
    recomputed = recomputed, delta = tonumber(recomputed) - tonumber(stored) }
end

-- facts
local last_now = redis.call('HGET', sale_key, 'last_now') or '0'
local now = guarded_now(last_now)
local differences = {}
for i = FIRST, #ARGV do differences[#differences + 1] = read_difference(ARGV[i]) end

-- decision: in the book alone
if last_now ~= seen_now then return { 'moved' } end
local indexes = {}

local function put_in_index(index_key, member, d)
  indexes[#indexes + 1] = d.recomputed == '0' and { 'ZREM', index_key, member } or { 'ZADD', index_key, d.recomputed, member }
end

local function plan_units(d)
  plan_move(d.product, 'available', COUNTER_OF[d.what], d.delta)
  if KIND[d.what] then plan_owe('', d.at, d.product, KIND[d.what], d.delta, now) end
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
  available = function(d) add(moved, d.product .. ':available', d.delta) end,
  held = plan_units, pending = plan_units, sold = plan_units, held_until = plan_units, pending_until = plan_units,
  held_deadline = function(d) put_in_index(deadlines_key, bucket(d.at, d.product, 'h'), d) end,
  pending_deadline = function(d) put_in_index(deadlines_key, bucket(d.at, d.product, 'p'), d) end,
  customer_held = plan_customer_owes, customer_pending = plan_customer_owes, customer_bought = plan_customer_bought,
  order_index = function(d) put_in_index(orders_key, d.order, d) end,
  due_index = function(d) put_in_index(due_key, d.order, d) end,
}

for _, d in ipairs(differences) do PLAN[d.what](d) end
for counter, units in pairs(moved) do
  if units + (redis.call('HGET', stock_key, counter) or 0) < 0 then return { 'below_zero', counter:match('^%d+') } end
end

-- effects: a bucket that was not in the index of deadlines gets there by its own difference
for _, d in ipairs(differences) do
  log[#log + 1] = { 'type', 'sale.repaired', 'at', int(now), 'repair', d.what, 'product', d.product, 'customer', d.customer,
    'order', d.order, 'instant', d.at and int(d.at) or '', 'stored', d.stored, 'recomputed', d.recomputed }
end
write_book(now)
for _, command in ipairs(indexes) do redis.call(unpack(command)) end
return { 'repaired', now }
