-- units: the counters of a product, and the buckets of units that come back at a deadline.
-- Every script that moves units declares the same first four keys. Uses clock.
local sale_key, stock_key, lapses_key, deadlines_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- Due buckets that one call may reclaim. A call that leaves some answers `behind`, and the caller repeats it.
local RECLAIM_MAX = 512
-- Bucket names that one search for a product's next release may read.
local RELEASE_SCAN_MAX = 1024
local COUNTER = { h = 'held', p = 'pending' }

-- Every script that writes stores the time at which it did, for the guard in clock.
local function stamp(now)
  redis.call('HSET', sale_key, 'last_now', int(now))
end

local function move(product, from, to, units)
  redis.call('HINCRBY', stock_key, product .. ':' .. from, -units)
  redis.call('HINCRBY', stock_key, product .. ':' .. to, units)
end

local deadline_texts = {}

-- '<deadline>:<product>:<kind>'. kind: h(eld) or p(ending).
local function bucket_name(deadline, product, kind)
  deadline_texts[deadline] = deadline_texts[deadline] or int(deadline)
  return deadline_texts[deadline] .. ':' .. product .. ':' .. kind
end

-- deadline, product, kind.
local function read_bucket_name(name)
  local deadline, product, kind = name:match('^(%d+):(%d+):([hp])$')
  return tonumber(deadline), product, kind
end

-- Units that come back at the deadline unless drop_due_back removes them before.
local function add_due_back(deadline, product, kind, units)
  local name = bucket_name(deadline, product, kind)
  if redis.call('HINCRBY', lapses_key, name, units) == units then
    redis.call('ZADD', deadlines_key, int(deadline), name)
  end
end

local function drop_due_back(deadline, product, kind, units)
  local name = bucket_name(deadline, product, kind)
  if redis.call('HINCRBY', lapses_key, name, -units) == 0 then
    redis.call('HDEL', lapses_key, name)
    redis.call('ZREM', deadlines_key, name)
  end
end

-- Gives what has lapsed back to `available`, one addition for a whole bucket. The result does not depend on what the calling
-- script decides, so this may write before that decision. True: more is due, so the script must answer `behind`.
local function reclaim(now)
  local due = redis.call('ZRANGE', deadlines_key, '-inf', '(' .. int(now), 'BYSCORE', 'LIMIT', 0, RECLAIM_MAX)
  if #due == 0 then return false end
  local units = redis.call('HMGET', lapses_key, unpack(due))
  for i, name in ipairs(due) do
    local _, product, kind = read_bucket_name(name)
    move(product, COUNTER[kind], 'available', tonumber(units[i]))
  end
  redis.call('HDEL', lapses_key, unpack(due))
  redis.call('ZREM', deadlines_key, unpack(due))
  stamp(now)
  return #due == RECLAIM_MAX
end

-- The earliest deadline at which units of the product come back. 0: none, or none among the first buckets.
local function next_release(product)
  local from, size = 0, 1
  while from < RELEASE_SCAN_MAX do
    local names = redis.call('ZRANGE', deadlines_key, from, from + size - 1)
    for _, name in ipairs(names) do
      local deadline, released = read_bucket_name(name)
      if released == product then return deadline end
    end
    if #names < size then return 0 end
    from, size = from + size, 64
  end
  return 0
end
