-- holds: the value of a hold, its writer and its reader. Uses clock. src/store/redis/record.rs reads it in Rust.
-- `hold` runs for every buyer of a rush, and each function that a script declares costs it time, so nothing else is here.

-- The value of a hold: '<lines> <made>+<length>' or '<lines> <made>+<length> <customer>', and its metadata in a further
-- line if it has some. made: epoch seconds, rounded up; its deadline comes so many seconds later.
-- The deadline is not read from the time that the key has left: whoever copies a key (MIGRATE, RESTORE) may add some
-- milliseconds to that, and the hold would lapse at another instant than its bucket.
local function hold_value(lines, made, deadline, customer, metadata)
  local value = string.format('%s %d+%d', lines, made / 1000, (deadline - made) / 1000)
  if customer and customer ~= '' then value = value .. ' ' .. customer end
  if metadata and metadata ~= '' then value = value .. '\n' .. metadata end
  return value
end

-- lines, made, customer, metadata ('': none) and deadline of a hold, or nil when it is gone. A hold is alive if its key
-- exists *and* its deadline has not passed.
local function live_hold(hold_key, now)
  local value = redis.call('GET', hold_key)
  if not value then return nil end
  local lines, made, length, customer, metadata = value:match('^(%S+) (%d+)%+(%d+) ?([^\n]*)\n?(.*)$')
  local deadline = (made + length) * 1000
  if now > deadline then return nil end
  return { lines = lines, customer = customer, metadata = metadata, made = made * 1000, deadline = deadline }
end
