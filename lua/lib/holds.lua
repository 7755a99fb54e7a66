-- holds: the value of a hold, its writer and its reader. Uses clock. src/store/redis/record.rs reads it in Rust.
-- `hold` runs for every buyer of a rush, and each function that a script declares costs it time, so nothing else is here.

-- The value of a hold: '<lines> <made>+<length>' or '<lines> <made>+<length> <customer>', and its metadata in a further
-- line if it has some. made: seconds, rounded up, to base 36; its deadline comes so many seconds later, to base 36.
-- The deadline is not read from the time that the key has left: whoever copies a key (MIGRATE, RESTORE) may add some
-- milliseconds to that, and the hold would lapse at another instant than its bucket.
local function hold_value(lines, term, customer, metadata)
  local value = lines .. ' ' .. term .. (customer ~= '' and ' ' .. customer or '')
  return metadata ~= '' and value .. '\n' .. metadata or value
end

-- lines, made, customer, metadata ('': none) and deadline of a hold, or nil when it is gone. A hold is alive if its key
-- exists *and* its deadline has not passed.
local function live_hold(hold_key, now)
  local value = redis.call('GET', hold_key)
  if not value then return nil end
  local lines, made, length, customer, metadata = value:match('^(%S+) (%w+)%+(%w+) ?([^\n]*)\n?(.*)$')
  local seconds = tonumber(made, 36)
  local deadline = (seconds + tonumber(length, 36)) * 1000
  if now > deadline then return nil end
  return { lines = lines, customer = customer, metadata = metadata, made = seconds * 1000, deadline = deadline }
end
