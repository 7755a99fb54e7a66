-- holds: the value of a hold, and that of its idempotency key, each with its writer and its reader. Uses clock.
-- src/store/redis/record.rs reads them in Rust. `hold` runs for every buyer of a rush, and each function that a script declares
-- costs it time, so nothing else is in this fragment.

-- The value of a hold: '<lines> <made>' or '<lines> <made> <customer>'. made: seconds, rounded up, to base 36.
local function hold_value(lines, made, customer)
  return lines .. ' ' .. made .. (customer ~= '' and ' ' .. customer or '')
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
