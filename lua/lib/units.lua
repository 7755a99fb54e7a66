-- units: the counters of a product, and the buckets of units that come back at a deadline.
-- Every script that moves units declares the same first four keys. Uses clock.
-- Redis creates each function of a script, and captures the locals that it uses, at every call. `hold` and `stock` run for
-- every buyer of a rush, so a constant is declared in the function that uses it, and lib/book has what only the book calls.
local sale_key, stock_key, lapses_key, deadlines_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- Every script that writes stores when it did, for the guard in clock, and for those who ask whether something was written.
local function stamp()
  redis.call('HSET', sale_key, 'last_write', int(written_at))
end

-- '<deadline>:<product>:<kind>'. kind: h(eld) or p(ending).
local function bucket_name(deadline, product, kind)
  return int(deadline) .. ':' .. product .. ':' .. kind
end

-- deadline, product, kind.
local function read_bucket_name(name)
  local deadline, product, kind = name:match('^(%d+):(%d+):([hp])$')
  return tonumber(deadline), product, kind
end

-- Units that come back at the deadline unless drop_due_back (lib/book) removes them before.
local function add_due_back(deadline, product, kind, units)
  local name = bucket_name(deadline, product, kind)
  if redis.call('HINCRBY', lapses_key, name, units) == units then
    redis.call('ZADD', deadlines_key, int(deadline), name)
  end
end

-- Gives what has lapsed back to `available`, one addition for a whole bucket. The result does not depend on what the calling
-- script decides, so this may write before that decision. True: more than RECLAIM_MAX buckets are due, so the script must
-- answer `behind`, and the caller repeats the call.
local function reclaim(now)
  local RECLAIM_MAX = 512
  local due = redis.call('ZRANGE', deadlines_key, '-inf', '(' .. int(now), 'BYSCORE', 'LIMIT', 0, RECLAIM_MAX)
  if #due == 0 then return false end
  local COUNTER = { h = ':held', p = ':pending' }
  local units = redis.call('HMGET', lapses_key, unpack(due))
  for i, name in ipairs(due) do
    local _, product, kind = read_bucket_name(name)
    redis.call('HINCRBY', stock_key, product .. COUNTER[kind], -units[i])
    redis.call('HINCRBY', stock_key, product .. ':available', units[i])
  end
  redis.call('HDEL', lapses_key, unpack(due))
  redis.call('ZREM', deadlines_key, unpack(due))
  stamp()
  return #due == RECLAIM_MAX
end

-- The earliest deadline at which units of the product come back. 0: none, or none among the first buckets.
local function next_release(product)
  local RELEASE_SCAN_MAX = 1024
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
