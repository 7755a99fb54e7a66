-- units: gives back what has lapsed. Uses keys, clock, buckets and stock.

-- deadline, product, kind.
local function read_bucket_name(name)
  local deadline, product, kind = name:match('^(%d+):(%d+):([hp])$')
  return tonumber(deadline), product, kind
end

-- Gives what has lapsed back to `available`, one addition for a whole bucket. The result does not depend on what the calling
-- script decides, so this may write before that decision. True: more than RECLAIM_MAX buckets are due, so the script must
-- answer `behind`, and the caller repeats the call. `known_due`: `first_due` of the sale.
local function reclaim(now, known_due)
  know_first_due(known_due)
  if first_due and now <= first_due then return false end
  local RECLAIM_MAX = 512
  local due = redis.call('ZRANGE', deadlines_key, '-inf', '(' .. int(now), 'BYSCORE', 'LIMIT', 0, RECLAIM_MAX)
  if #due > 0 then
    local COUNTER = { h = 'held', p = 'pending' }
    local units = redis.call('HMGET', lapses_key, unpack(due))
    for i, name in ipairs(due) do
      local _, product, kind = read_bucket_name(name)
      add_units(product, COUNTER[kind], -units[i])
      add_units(product, 'available', units[i])
    end
    write_products()
    redis.call('HDEL', lapses_key, unpack(due))
    redis.call('ZREM', deadlines_key, unpack(due))
  end
  local known = first_due or math.huge
  first_due = tonumber(redis.call('ZRANGE', deadlines_key, 0, 0, 'WITHSCORES')[2] or math.huge)
  is_first_due_new = first_due ~= known
  if #due > 0 then
    stamp(FREED, int(written_at))
  elseif is_first_due_new then
    redis.call('HSET', sale_key, 'first_due', first_due_text())
  end
  is_first_due_new = false
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
