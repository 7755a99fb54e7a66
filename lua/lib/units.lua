-- units: moves units between the counters of a product and keeps the buckets of what will lapse.
-- Every script that moves units declares the same first four keys.
local sale_key, stock_key, lapses_key, deadlines_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- Due buckets that one call may reclaim; a call that leaves some answers `behind` and is made again.
local RECLAIM_MAX = 512
-- Bucket names that one search for a product's next release may read.
local RELEASE_SCAN_MAX = 1024
local COUNTER = { h = 'held', p = 'pending' }

-- Every script that writes keeps the time at which it did, for the guard in clock.
local function stamp(now)
  redis.call('HSET', sale_key, 'last_now', int(now))
end

local function move(product, from, to, units)
  redis.call('HINCRBY', stock_key, product .. ':' .. from, -units)
  redis.call('HINCRBY', stock_key, product .. ':' .. to, units)
end

local deadline_texts = {}

local function bucket(deadline, product, kind)
  deadline_texts[deadline] = deadline_texts[deadline] or int(deadline)
  return deadline_texts[deadline] .. ':' .. product .. ':' .. kind
end

-- Units that come back at the deadline unless they are forgiven before. kind: h(eld) or p(ending).
local function owe(deadline, product, kind, units)
  local name = bucket(deadline, product, kind)
  if redis.call('HINCRBY', lapses_key, name, units) == units then
    redis.call('ZADD', deadlines_key, int(deadline), name)
  end
end

local function forgive(deadline, product, kind, units)
  local name = bucket(deadline, product, kind)
  if redis.call('HINCRBY', lapses_key, name, -units) == 0 then
    redis.call('HDEL', lapses_key, name)
    redis.call('ZREM', deadlines_key, name)
  end
end

-- Gives what has lapsed back to `available`, one addition for a whole bucket. It does not depend on what the
-- calling script decides, so it may write before that decision. True: more is due, answer `behind` and do nothing.
local function reclaim(now)
  local due = redis.call('ZRANGE', deadlines_key, '-inf', '(' .. int(now), 'BYSCORE', 'LIMIT', 0, RECLAIM_MAX)
  if #due == 0 then return false end
  local units = redis.call('HMGET', lapses_key, unpack(due))
  for i, name in ipairs(due) do
    local product, kind = name:match('^%d+:(%d+):([hp])$')
    move(product, COUNTER[kind], 'available', tonumber(units[i]))
  end
  redis.call('HDEL', lapses_key, unpack(due))
  redis.call('ZREM', deadlines_key, unpack(due))
  stamp(now)
  return #due == RECLAIM_MAX
end

-- The earliest deadline at which units of the product come back, or 0: none, or none among the first buckets.
local function next_release(product)
  local from, size = 0, 1
  while from < RELEASE_SCAN_MAX do
    local names = redis.call('ZRANGE', deadlines_key, from, from + size - 1)
    for _, name in ipairs(names) do
      local deadline, of = name:match('^(%d+):(%d+):')
      if of == product then return tonumber(deadline) end
    end
    if #names < size then return 0 end
    from, size = from + size, 64
  end
  return 0
end
