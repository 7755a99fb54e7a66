-- book: the unit of work of a script. It has what the script read, decided and did not write yet. A later decision of a
-- batch sees the earlier ones in it, and write_book writes everything once, at the end. Uses clock, units, customers,
-- holds and records.
-- Every script with a book declares the same first BOOK_KEYS keys and the same first two arguments.
local BOOK_KEYS = 8
local events_key, due_key, orders_key = KEYS[6], KEYS[7], KEYS[8]
local retention_ms, events_max = tonumber(ARGV[1]), ARGV[2]
-- Where an admin acts, the second argument has more lines: `actor` and a name, `reason` and a text. Every event of the
-- script gets them, but not the lapse of an order, which is nobody's act. false: a buyer or a provider acts.
local act = false
if events_max and events_max:find('\n', 1, true) then events_max, act = events_max:match('^(%d+)\n(.*)$') end

-- An order is one text, because Redis reads and writes one at a part of what the fields of a hash cost. The first line is
-- its head: status, when it was created, how many ms later its payment is due and its hold ended, lines, currency and, if
-- there is one, the customer. Fields that only some orders have follow, the name and the value of each in two lines.
--
-- By key. false: nothing is stored there. An order is the table of its fields, of which the instants are absolute, and
-- `total` is that of its lines. `lists` has the fields and values below its head in turn, `texts` the text, and `stored`
-- what read_orders found.
local orders, lists, texts, stored, holds = {}, {}, {}, {}, {}
-- What to write: whether an order changed by its key, creation times and ids of new orders, keys of holds that ended.
local changed_orders, new_orders, ended_holds = {}, {}, {}
-- Whether the script makes units available.
local frees = false
-- Products of new orders, by id.
local ordered = {}
-- Entries of the event log, each as its fields and values.
local logged = {}

-- The events that an order heard (lib/heard), by order key. They are the last field of what Redis stores, and neither
-- `texts` nor events have them. No other value begins with a tab.
local HEARD = '\nheard\n\t'
local heard = {}

-- By key: the id that it ends in, behind the last colon.
local ids = {}

local function id_of(key)
  local id = ids[key]
  if not id then
    id = key:match('^.*:(.+)$')
    ids[key] = id
  end
  return id
end

-- nil: money came for a hold that was gone, so there are no lines.
local function total_of(lines)
  if lines == '' then return nil end
  local total = 0
  each_line(lines, function(_, units, price) total = total + units * price end)
  return int(total)
end

local function keep_found_order(key, text)
  local heard_at = text:find(HEARD, 1, true)
  if heard_at then
    heard[key] = text:sub(heard_at + #HEARD)
    text = text:sub(1, heard_at - 1)
  end
  local ORDER = '^(%S+) (%d+) (-?%d+) (%d*) (%S*) (%S*) ?([^\n]*)\n?(.*)$'
  local status, created, due_in, hold_in, lines, currency, customer, rest = text:match(ORDER)
  local order, list, size = { status = status, created = created, due = int(created + due_in),
    hold_deadline = hold_in ~= '' and int(created + hold_in) or nil, lines = lines, total = total_of(lines),
    currency = currency, customer = customer, paid_at = nil }, {}, 0
  for field, value in rest:gmatch('([^\n]+)\n([^\n]*)') do
    list[size + 1], list[size + 2] = field, value
    order[field] = value
    size = size + 2
  end
  orders[key], lists[key], texts[key] = order, list, text
end

local function order_at(key)
  if orders[key] == nil then
    local text = stored[key]
    if text == nil then text = redis.call('GET', key) end
    if text then keep_found_order(key, text) else orders[key] = false end
  end
  return orders[key]
end

-- One MGET for all spares a GET for each.
local function read_orders(order_keys)
  for i, text in ipairs(redis.call('MGET', unpack(order_keys))) do stored[order_keys[i]] = text end
end

local function hold_at(key, now)
  if holds[key] == nil then holds[key] = live_hold(key, now) or false end
  return holds[key]
end

local function end_hold(key)
  holds[key] = false
  ended_holds[#ended_holds + 1] = key
end

-- Takes what its head has, and its total.
local function add_order(key, order)
  orders[key], lists[key], changed_orders[key] = order, {}, true
  new_orders[#new_orders + 1] = order.created
  new_orders[#new_orders + 1] = id_of(key)
end

local function put_in_list(list, field, value, is_new)
  local at, size = 1, #list
  if is_new then at = size + 1 end
  while at <= size and list[at] ~= field do at = at + 2 end
  list[at], list[at + 1] = field, value
end

-- Takes fields and values in turn. Of the head, status and due may change.
local function change_order(key, ...)
  local order, list, pairs_of = orders[key], lists[key], { ... }
  for i = 1, #pairs_of, 2 do
    local field, value = pairs_of[i], pairs_of[i + 1]
    local is_new = order[field] == nil
    order[field] = value
    if field ~= 'status' and field ~= 'due' then put_in_list(list, field, value, is_new) end
  end
  changed_orders[key], texts[key] = true, nil
end

local function keep_heard(key, events)
  heard[key], changed_orders[key] = events, true
end

local function take_from_list(list, field)
  for i = 1, #list, 2 do
    if list[i] == field then
      table.remove(list, i)
      table.remove(list, i)
      return
    end
  end
end

local function drop_field(key, field)
  local order = orders[key]
  if order[field] == nil then return end
  take_from_list(lists[key], field)
  order[field], texts[key], changed_orders[key] = nil, nil, true
end

-- The text of the order at this point of the book. Empty when there is no order.
local function order_text(key)
  local order, list = orders[key], lists[key]
  if not list then return '' end
  if texts[key] then return texts[key] end
  local created, hold_deadline = order.created, order.hold_deadline
  local text = order.status .. ' ' .. created .. ' ' .. int(order.due - created) .. ' '
    .. (hold_deadline and int(hold_deadline - created) or '') .. ' ' .. order.lines .. ' ' .. order.currency
  if order.customer ~= '' then text = text .. ' ' .. order.customer end
  if #list > 0 then text = text .. '\n' .. table.concat(list, '\n') end
  texts[key] = text
  return text
end

-- Takes the fields and values of the entry after `type` and `at`. The id of the entry has the time that it says: with '*' it
-- could have a later one, and then stand behind what came after it in another sale.
local function log_event(kind, now, ...)
  local at = int(now)
  local fields = { at .. '-*', 'type', kind, 'at', at, ... }
  if act and kind ~= 'order.expired' then
    fields[#fields + 1] = 'act'
    fields[#fields + 1] = act
  end
  logged[#logged + 1] = fields
end

local function log_order_event(kind, order_key, now)
  log_event(kind, now, 'order', id_of(order_key), 'record', order_text(order_key))
end

local function plan_move(product, from, to, units)
  add_units(product, from, -units)
  add_units(product, to, units)
end

-- Units of a customer ('': no customer was named) that come back at the deadline. Negative: they do not any more.
local function plan_due_back(customer, deadline, product, kind, units, now)
  local name = bucket_name(deadline, product, kind)
  add_customer_due_back(customer, name, units, now)
  plan_bucket(name, deadline, units)
end

-- The customer ('': nobody was named) leaves units before their deadline and buys nothing. Only a sale with a cool-down
-- counts that.
local function abandon(id, now)
  if id == '' or not (redis.call('HGET', sale_key, 'rules') or ''):find('cooldown_holds=', 1, true) then return end
  local customer = customer_at(id, now)
  customer.abandoned, customer.abandoned_at = customer.abandoned + 1, now
  changed_customers[id] = true
end

local function write_units()
  local sold = {}
  for product in pairs(ordered) do sold[#sold + 1], sold[#sold + 2] = product .. ':ordered', 1 end
  write_all('HSET', stock_key, sold)
  if write_products() then frees = true end
  if #bucket_names > 0 and not first_due then know_first_due(redis.call('HGET', sale_key, 'first_due')) end
  write_buckets()
end

local function waits_for_deadline(order)
  return order.status == 'in_review' or order.status == 'pending' and not order.expired_at
end

-- Redis drops an order that nobody will pay some time after its deadline. It keeps one for which money came all the same,
-- and one that got its units again: a SET without a time ends the one that there was.
local function write_order(key, order)
  local text = order_text(key)
  if heard[key] then text = text .. HEARD .. heard[key] end
  if order.status == 'cancelled' or order.status == 'pending' and order.expired_at then
    redis.call('SET', key, text, 'PXAT', int(order.due + retention_ms))
  else
    redis.call('SET', key, text)
  end
end

local function write_orders()
  local waiting, settled = {}, {}
  for key in pairs(changed_orders) do
    local order = orders[key]
    write_order(key, order)
    if waits_for_deadline(order) then
      waiting[#waiting + 1] = order.due
      waiting[#waiting + 1] = id_of(key)
    else
      settled[#settled + 1] = id_of(key)
    end
  end
  if #new_orders > 0 then redis.call('ZADD', orders_key, unpack(new_orders)) end
  if #waiting > 0 then redis.call('ZADD', due_key, unpack(waiting)) end
  if #settled > 0 then redis.call('ZREM', due_key, unpack(settled)) end
end

-- Writes all effects of the script. Nothing may use the book after it.
local function write_book()
  if #ended_holds > 0 then redis.call('DEL', unpack(ended_holds)) end
  write_orders()
  write_units()
  write_customers()
  for _, fields in ipairs(logged) do
    if redis.pcall('XADD', events_key, 'MAXLEN', '~', events_max, unpack(fields)).err then
      -- Somebody took the clock of the sale back behind its log. Then the place of the entry is behind the last one.
      fields[1] = '*'
      redis.call('XADD', events_key, 'MAXLEN', '~', events_max, unpack(fields))
    end
  end
  if frees then stamp(FREED, int(written_at)) else stamp() end
end

-- Here and not in lib/customers, because hold has that and never buys. Negative units give back what was bought.
-- buys: the customer buys now, and so is no longer one who abandons.
local function add_customer_bought(id, product, units, buys, now)
  if id == '' then return end
  local customer = customer_at(id, now)
  add_or_drop(customer.bought, product, units)
  if buys then customer.abandoned, customer.abandoned_at = 0, 0 end
  changed_customers[id] = true
end
