-- book: what a script has decided and not yet written, so that later decisions of a batch see the earlier ones, and
-- everything is written once, at the end. Uses clock, units, customers and records. Every script with a book declares the same
-- first keys and the same first two arguments.
local BOOK = 8
local events_key, due_key, orders_key = KEYS[6], KEYS[7], KEYS[8]
local retention_ms, events_max = tonumber(ARGV[1]), ARGV[2]

-- What an order may say, in the order in which it is told.
local FIELDS = { 'status', 'lines', 'total', 'currency', 'customer', 'created', 'due', 'hold_deadline', 'started_at',
  'expired_at', 'paid_at', 'payment', 'captured', 'captured_currency', 'late', 'cancelled_by', 'reason', 'review', 'restocked' }

-- By key; false: it is not there. An order is the table of its fields.
local orders, holds = {}, {}
-- What was changed: fields by order key, orders that are new, keys of holds that ended.
local changed, fresh, ended = {}, {}, {}
-- Sums of units, by counter ('1:available') and by bucket.
local moved, owed = {}, {}
-- Events, each as its fields.
local log = {}

-- A key ends in the id of what it holds.
local function id_of(key)
  return key:match('[^:]+$')
end

local function order_at(key)
  if orders[key] == nil then orders[key] = read_order(key) or false end
  return orders[key]
end

local function hold_at(key, now)
  if holds[key] == nil then holds[key] = live_hold(key, now) or false end
  return holds[key]
end

local function end_hold(key)
  holds[key] = false
  ended[#ended + 1] = key
end

-- Makes the order if it is not there.
local function change(key, fields)
  if not orders[key] then orders[key], fresh[key] = {}, true end
  changed[key] = changed[key] or {}
  for field, value in pairs(fields) do
    orders[key][field], changed[key][field] = value, value
  end
end

-- The fields of an order as a list; empty when there is none.
local function told(order)
  local list = {}
  if not order then return list end
  for _, field in ipairs(FIELDS) do
    if order[field] then
      list[#list + 1] = field
      list[#list + 1] = order[field]
    end
  end
  return list
end

-- An event of an order, with the order as it is at this point of the book.
local function emit(kind, order_key, now)
  log[#log + 1] = { 'type', kind, 'at', int(now), 'order', id_of(order_key), unpack(told(orders[order_key])) }
end

local function add(sums, name, units)
  sums[name] = (sums[name] or 0) + units
end

local function plan_move(product, from, to, units)
  add(moved, product .. ':' .. from, -units)
  add(moved, product .. ':' .. to, units)
end

-- Units of a customer ('': of nobody in particular) that come back at the deadline; negative: that do not any more.
local function plan_owe(customer, deadline, product, kind, units, now)
  local name = bucket(deadline, product, kind)
  customer_owes(customer, name, units, now)
  owed[name] = owed[name] or { deadline = deadline, product = product, kind = kind, units = 0 }
  owed[name].units = owed[name].units + units
end

local function available(product)
  local counter = product .. ':available'
  return tonumber(redis.call('HGET', stock_key, counter)) + (moved[counter] or 0)
end

local function write_units()
  for counter, units in pairs(moved) do
    if units ~= 0 then redis.call('HINCRBY', stock_key, counter, units) end
  end
  for _, due in pairs(owed) do
    if due.units > 0 then owe(due.deadline, due.product, due.kind, due.units) end
    if due.units < 0 then forgive(due.deadline, due.product, due.kind, -due.units) end
  end
end

local function flat(fields)
  local list = {}
  for field, value in pairs(fields) do
    list[#list + 1] = field
    list[#list + 1] = value
  end
  return list
end

-- Orders that were never paid are forgotten some time after their deadline; where money came they are kept.
local function write_orders()
  local waiting, settled, made = {}, {}, {}
  for key, fields in pairs(changed) do
    local order = orders[key]
    redis.call('HSET', key, unpack(flat(fields)))
    if order.status == 'pending' then redis.call('PEXPIREAT', key, int(order.due + retention_ms)) end
    if order.payment and not fresh[key] then redis.call('PERSIST', key) end
    if fresh[key] then
      made[#made + 1] = order.created
      made[#made + 1] = id_of(key)
    end
    if order.status == 'pending' and not order.expired_at then
      waiting[#waiting + 1] = order.due
      waiting[#waiting + 1] = id_of(key)
    else
      settled[#settled + 1] = id_of(key)
    end
  end
  if #made > 0 then redis.call('ZADD', orders_key, unpack(made)) end
  if #waiting > 0 then redis.call('ZADD', due_key, unpack(waiting)) end
  if #settled > 0 then redis.call('ZREM', due_key, unpack(settled)) end
end

-- All effects of the script. The book is at its end then.
local function write_book(now)
  if #ended > 0 then redis.call('DEL', unpack(ended)) end
  write_orders()
  write_units()
  write_customers()
  for _, fields in ipairs(log) do
    redis.call('XADD', events_key, 'MAXLEN', '~', events_max, '*', unpack(fields))
  end
  stamp(now)
end
