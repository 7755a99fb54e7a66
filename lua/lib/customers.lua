-- customers: what each customer of a sale has, for limits: units that come back at a deadline (as buckets are named, of this
-- customer alone), units that were bought, and how many holds were left to lapse. One field for each customer, with entries such
-- as '1795716624000:7:h=2 7=1 abandoned=3@1795716624000'. What has lapsed drops out whenever the field is read, so a limit
-- is right at every instant and nothing sweeps. Uses clock.
local customers_key = KEYS[5]

-- By customer, as read; `owed` by bucket, `bought` by product.
local customers, touched = {}, {}

-- Holds that lapse within one second count as one that was abandoned.
local function drop_lapsed(customer, name, units, now)
  local deadline, kind = name:match('^(%d+):%d+:([hp])$')
  if now <= tonumber(deadline) then
    customer.owed[name] = units
  elseif kind == 'h' then
    customer.abandoned = customer.abandoned + 1
    customer.abandoned_at = math.max(customer.abandoned_at, tonumber(deadline))
  end
end

local function customer_at(id, now)
  if customers[id] then return customers[id] end
  local customer = { owed = {}, bought = {}, abandoned = 0, abandoned_at = 0 }
  for name, value in (redis.call('HGET', customers_key, id) or ''):gmatch('(%S+)=(%S+)') do
    if name == 'abandoned' then
      local count, at = value:match('^(%d+)@(%d+)$')
      customer.abandoned = customer.abandoned + tonumber(count)
      customer.abandoned_at = math.max(customer.abandoned_at, tonumber(at))
    elseif name:find(':', 1, true) then
      drop_lapsed(customer, name, tonumber(value), now)
    else
      customer.bought[name] = tonumber(value)
    end
  end
  customers[id] = customer
  return customer
end

-- Units of the product that count against the customer's limit.
local function customer_has(customer, product)
  local units = customer.bought[product] or 0
  for name, owed in pairs(customer.owed) do
    if name:match('^%d+:(%d+):') == product then units = units + owed end
  end
  return units
end

local function add_or_drop(sums, name, units)
  local sum = (sums[name] or 0) + units
  sums[name] = sum > 0 and sum or nil
end

local function customer_owes(id, bucket_name, units, now)
  if id == '' then return end
  add_or_drop(customer_at(id, now).owed, bucket_name, units)
  touched[id] = true
end

-- Negative: gives back what was bought. Who buys is no longer somebody who abandons.
local function customer_buys(id, product, units, now)
  if id == '' then return end
  local customer = customer_at(id, now)
  add_or_drop(customer.bought, product, units)
  if units > 0 then customer.abandoned, customer.abandoned_at = 0, 0 end
  touched[id] = true
end

-- Until when a customer who let so many holds lapse must wait, or nil.
local function cooling_until(customer, holds, ms, now)
  local again = customer.abandoned_at + ms
  return customer.abandoned >= holds and now < again and again or nil
end

local function write_customers()
  for id in pairs(touched) do
    local customer, entries = customers[id], {}
    for name, units in pairs(customer.owed) do entries[#entries + 1] = name .. '=' .. int(units) end
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
