-- book: what a script has decided and not yet written, so that later decisions of a batch see the earlier ones, and
-- everything is written once, at the end. Uses clock, units, customers and records. Every script with a book declares the same
-- first keys and the same first two arguments.
local BOOK = 8
local events_key, due_key, orders_key = KEYS[6], KEYS[7], KEYS[8]
local retention_ms, events_max = tonumber(ARGV[1]), ARGV[2]

-- By key; false: it is not there. An order is the table of its fields. `lists` has the same as it is stored: fields and
-- values in turn. `texts` has that as it is told and logged: a line each, for one long argument costs less than many.
local orders, lists, texts, holds = {}, {}, {}, {}
-- What was changed: fields and values by order key; new orders by time; and keys of holds that ended.
local changed, made, ended = {}, {}, {}
-- Sums of units, by counter ('1:available') and by bucket.
local moved, owed = {}, {}
-- Events, each as its fields.
local log = {}

-- A key ends in the id of what it holds.
local function id_of(key)
  return key:match('^.*:(.+)$')
end

local function keep_order(key, list)
  local order = {}
  for i = 1, #list, 2 do order[list[i]] = list[i + 1] end
  orders[key], lists[key] = order, list
end

local function order_at(key)
  if orders[key] == nil then
    local list = redis.call('HGETALL', key)
    if #list > 0 then keep_order(key, list) else orders[key] = false end
  end
  return orders[key]
end

-- Spares a look at each when none of them is there.
local function none_of(order_keys)
  if redis.call('EXISTS', unpack(order_keys)) > 0 then return end
  for _, key in ipairs(order_keys) do orders[key] = false end
end

local function hold_at(key, now)
  if holds[key] == nil then holds[key] = live_hold(key, now) or false end
  return holds[key]
end

local function end_hold(key)
  holds[key] = false
  ended[#ended + 1] = key
end

local function new_order(key, list)
  keep_order(key, list)
  changed[key] = list
  made[#made + 1] = orders[key].created
  made[#made + 1] = id_of(key)
end

local function put_in_list(list, field, value)
  for i = 1, #list, 2 do
    if list[i] == field then
      list[i + 1] = value
      return
    end
  end
  list[#list + 1] = field
  list[#list + 1] = value
end

-- Fields and values in turn.
local function change(key, ...)
  local order, list, pairs_of = orders[key], lists[key], { ... }
  local changes = changed[key] or {}
  for i = 1, #pairs_of, 2 do
    local field, value = pairs_of[i], pairs_of[i + 1]
    order[field] = value
    put_in_list(list, field, value)
    if changes ~= list then put_in_list(changes, field, value) end
  end
  changed[key], texts[key] = changes, nil
end

-- The order as it is at this point of the book: its fields and values, a line each; empty when there is none.
local function told(key)
  if not lists[key] then return '' end
  texts[key] = texts[key] or table.concat(lists[key], '\n')
  return texts[key]
end

-- An event of an order, with the order as it is at this point of the book.
local function emit(kind, order_key, now)
  log[#log + 1] = { 'type', kind, 'at', int(now), 'order', id_of(order_key), 'record', told(order_key) }
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
    if units ~= 0 then redis.call('HINCRBY', stock_key, counter, int(units)) end
  end
  for _, due in pairs(owed) do
    if due.units > 0 then owe(due.deadline, due.product, due.kind, due.units) end
    if due.units < 0 then forgive(due.deadline, due.product, due.kind, -due.units) end
  end
end

-- Orders that will not be paid are forgotten some time after their deadline. When money comes all the same they are kept.
local function write_retention(key, order)
  if not order.expired_at and not order.cancelled_by then return end
  if order.payment then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIREAT', key, int(order.due + retention_ms))
  end
end

local function write_orders()
  local waiting, settled = {}, {}
  for key, list in pairs(changed) do
    local order = orders[key]
    redis.call('HSET', key, unpack(list))
    write_retention(key, order)
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
