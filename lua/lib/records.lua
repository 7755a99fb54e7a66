-- records: reads holds and orders.
-- A hold is '<lines> <made>' or '<lines> <made> <customer>'; made is when, in whole seconds, to base 36. Lines are '1=2,7=1'
-- (product=units), in an order '1=2@500000,7=1@9900':
-- with the price of one unit, in ten-thousandths of the currency.

-- Buyers want the same: the same text is read once.
local read_lines = {}

local function each_line(text, visit)
  local lines = read_lines[text]
  if not lines then
    lines = {}
    for product, units in text:gmatch('(%d+)=(%d+)') do lines[#lines + 1] = { product, tonumber(units) } end
    read_lines[text] = lines
  end
  for _, line in ipairs(lines) do visit(line[1], line[2]) end
end

-- The hold as { lines, customer, made, deadline }, or nil when it is gone: its key must be there *and* its deadline ahead.
local function live_hold(hold_key, now)
  local value = redis.call('GET', hold_key)
  if not value then return nil end
  local deadline = redis.call('PEXPIRETIME', hold_key)
  if now > deadline then return nil end
  local lines, made, customer = value:match('^(%S+) ?(%w*) ?(.*)$')
  return { lines = lines, customer = customer, made = (tonumber(made, 36) or 0) * 1000, deadline = deadline }
end

local function order_reply(word, now, order_key)
  return { word, now, redis.call('HGETALL', order_key) }
end
