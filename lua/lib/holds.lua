-- holds: the value of a hold, its writer and its reader. Uses clock. src/store/redis/record.rs reads it in Rust.
-- `hold` runs for every buyer of a rush, and each function that a script declares costs it time, so nothing else is here.

-- The value of a hold: '<lines> <made>' or '<lines> <made> <customer>', and its metadata in a further line if it has some.
-- made: seconds, rounded up, to base 36.
local function hold_value(lines, made, customer, metadata)
  local value = lines .. ' ' .. made .. (customer ~= '' and ' ' .. customer or '')
  return metadata ~= '' and value .. '\n' .. metadata or value
end

-- lines, made, customer, metadata ('': none) and deadline of a hold, or nil when it is gone. A hold is alive if its key
-- exists *and* its deadline has not passed.
local function live_hold(hold_key, now)
  local value = redis.call('GET', hold_key)
  if not value then return nil end
  local deadline = redis.call('PEXPIRETIME', hold_key)
  if now > deadline then return nil end
  local lines, made, customer, metadata = value:match('^(%S+) ?(%w*) ?([^\n]*)\n?(.*)$')
  return { lines = lines, customer = customer, metadata = metadata, made = (tonumber(made, 36) or 0) * 1000,
    deadline = deadline }
end
