-- customers: what limits count for each customer of a sale. These are units that come back at a deadline, units that were
-- bought, and the number of holds left to lapse. `customers` has one field for each customer, a text of entries such as
--   1795716624000:7:h=2 7=1 abandoned=3@1795716624000
-- which are a bucket name (lib/units) and its units, a product and its bought units, and how many holds and orders were
-- abandoned and when the last of them was. Lapsed entries drop out whenever a script reads the field, so a limit is right at
-- every instant and nothing sweeps. A plain way adds entries, so there may be several of a bucket or a product. Uses keys,
-- clock and units.
-- By customer id: the customers that were read, and those to write.
local customers, changed_customers = {}, {}

-- `due_back` is by bucket name, `bought` by product. Holds and orders that lapse within one second count as one that was
-- abandoned, as the lines of one hold do.
local function read_customer(text, now)
  local customer, lapsed = { due_back = {}, bought = {}, abandoned = 0, abandoned_at = 0 }, nil
  for name, value in text:gmatch('(%S+)=(%S+)') do
    if name == 'abandoned' then
      local count, at = value:match('^(%d+)@(%d+)$')
      customer.abandoned = customer.abandoned + tonumber(count)
      customer.abandoned_at = math.max(customer.abandoned_at, tonumber(at))
    elseif name:find(':', 1, true) then
      local deadline = read_bucket_name(name)
      if now <= deadline then
        customer.due_back[name] = (customer.due_back[name] or 0) + value
      else
        lapsed = lapsed or {}
        if not lapsed[deadline] then customer.abandoned = customer.abandoned + 1 end
        lapsed[deadline] = true
        customer.abandoned_at = math.max(customer.abandoned_at, deadline)
      end
    else
      customer.bought[name] = (customer.bought[name] or 0) + value
    end
  end
  return customer
end

-- Writes what read_customer reads. A customer of whom nothing counts any more has no field.
local function write_customers()
  for id in pairs(changed_customers) do
    local customer, entries = customers[id], {}
    for name, units in pairs(customer.due_back) do entries[#entries + 1] = name .. '=' .. int(units) end
    for product, units in pairs(customer.bought) do entries[#entries + 1] = product .. '=' .. int(units) end
    if customer.abandoned > 0 then
      entries[#entries + 1] = 'abandoned=' .. int(customer.abandoned) .. '@' .. int(customer.abandoned_at)
    end
    if #entries > 0 then
      redis.call('HSET', customers_key, id, table.concat(entries, ' '))
    else
      redis.call('HDEL', customers_key, id)
    end
  end
end

local function customer_at(id, now)
  customers[id] = customers[id] or read_customer(redis.call('HGET', customers_key, id) or '', now)
  return customers[id]
end

local function add_or_drop(sums, name, units)
  local sum = (sums[name] or 0) + units
  sums[name] = sum > 0 and sum or nil
end

-- id '': no customer was named. Negative units do not come back any more.
local function add_customer_due_back(id, name, units, now)
  if id == '' then return end
  add_or_drop(customer_at(id, now).due_back, name, units)
  changed_customers[id] = true
end

-- Until when a customer who abandoned so many holds and orders must wait, or nil.
local function cooling_until(customer, holds, ms, now)
  local again = customer.abandoned_at + ms
  return customer.abandoned >= holds and now < again and again or nil
end
