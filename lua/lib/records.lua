-- records: the texts that several scripts write and read, each with its writer and its reader. Uses clock.
-- lib/units has the names of buckets, lib/customers the entries of a customer, lib/reviews the record of a review.
-- src/store/redis/record.rs reads them in Rust.

-- A line of a hold is '<product>=<units>', of an order '<product>=<units>@<price>' with the price of one unit in
-- ten-thousandths of the currency. Lines are joined by commas.
local function priced_line(product, units, price)
  return product .. '=' .. int(units) .. '@' .. price
end

-- By the text of lines. In a rush most holds have the same lines, so each text is parsed once.
local parsed_lines = {}

local function each_line(text, visit)
  local lines = parsed_lines[text]
  if not lines then
    lines = {}
    for product, units in text:gmatch('(%d+)=(%d+)') do lines[#lines + 1] = { product, tonumber(units) } end
    parsed_lines[text] = lines
  end
  for _, line in ipairs(lines) do visit(line[1], line[2]) end
end

-- The value of a hold: '<lines> <made>' or '<lines> <made> <customer>'. made: seconds, to base 36, rounded up.
local function hold_value(lines, made, customer)
  return lines .. ' ' .. made .. (customer ~= '' and ' ' .. customer or '')
end

local function made_at(now)
  return base_36(math.ceil(now / 1000))
end

-- lines, made, customer and deadline of a hold, or nil when it is gone. A hold is alive if its key exists *and* its deadline
-- has not passed.
local function live_hold(hold_key, now)
  local value = redis.call('GET', hold_key)
  if not value then return nil end
  local deadline = redis.call('PEXPIRETIME', hold_key)
  if now > deadline then return nil end
  local lines, made, customer = value:match('^(%S+) ?(%w*) ?(.*)$')
  return { lines = lines, customer = customer, made = (tonumber(made, 36) or 0) * 1000, deadline = deadline }
end

-- The value of an idempotency key of a hold: '<fingerprint> <hold id> <deadline>'. A claim is that without the deadline.
local function claim_value(claim, deadline)
  return claim .. ' ' .. int(deadline)
end

-- fingerprint, hold id, and of a stored value the deadline.
local function read_claim(text)
  local fingerprint, hold, deadline = text:match('^(%S+) (%S+) ?(%d*)$')
  return fingerprint, hold, tonumber(deadline)
end

-- A record of lines has the value of one field in each line, in the order of `fields`. Only the last may have newlines.
local function to_lines(fields, record)
  local lines = {}
  for i, field in ipairs(fields) do lines[i] = record[field] or '' end
  return table.concat(lines, '\n')
end

-- The record by its fields, or nil when the text has fewer lines.
local function from_lines(fields, text)
  local record, from = {}, 1
  for i = 1, #fields - 1 do
    local newline = text:find('\n', from, true)
    if not newline then return nil end
    record[fields[i]] = text:sub(from, newline - 1)
    from = newline + 1
  end
  record[fields[#fields]] = text:sub(from)
  return record
end
