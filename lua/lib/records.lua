-- records: lines of products, and records of lines, each with its writer and its reader. Uses clock.
-- lib/holds has the value of a hold, lib/units the names of buckets, lib/customers the entries of a customer, and
-- lib/reviews the record of a review. src/store/redis/record.rs reads them in Rust.

-- A line of a hold is '<product>=<units>', of an order '<product>=<units>@<price>' with the price of one unit in
-- ten-thousandths of the currency. Lines are joined by commas.
local function priced_line(product, units, price)
  return product .. '=' .. int(units) .. '@' .. price
end

-- By the text of lines, those of a hold without prices. In a rush most holds have the same lines, so each is parsed once.
local parsed_lines = {}

local function each_line(text, visit)
  local lines = parsed_lines[text]
  if not lines then
    lines = {}
    for product, units, price in text:gmatch('(%d+)=(%d+)@?(%d*)') do
      lines[#lines + 1] = { product, tonumber(units), tonumber(price) }
    end
    parsed_lines[text] = lines
  end
  for _, line in ipairs(lines) do visit(line[1], line[2], line[3]) end
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
