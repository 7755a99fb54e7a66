-- buckets: units that come back at a deadline, and when a sale was written. Uses keys and clock.
-- Redis creates each function of a script, and captures the locals that it uses, at every call. `hold` runs for every buyer
-- of a rush, so a constant is declared in the function that uses it, and what a plain hold does not need is elsewhere.

-- No bucket has an earlier deadline. The sale remembers it as `first_due`, so nobody looks into `deadlines` for what is due
-- before there is something. math.huge: there is no bucket, for which the sale has an instant that never comes. nil: not
-- read yet, or not known.
local first_due
local is_first_due_new = false

local function know_first_due(text)
  first_due = tonumber(text or '')
end

local function first_due_text()
  local NEVER = 253402300799999
  return int(math.min(first_due, NEVER))
end

-- Every script that writes stores when it did, for the guard in clock, and for those who ask whether something was written.
-- One that makes units available also says so with FREED, for buyers of a sale that is spread over several slots.
local FREED = 'last_freed'
local function stamp(...)
  if is_first_due_new then
    redis.call('HSET', sale_key, 'last_write', int(written_at), 'first_due', first_due_text(), ...)
  else
    redis.call('HSET', sale_key, 'last_write', int(written_at), ...)
  end
end

-- '<deadline>:<product>:<kind>'. kind: h(eld) or p(ending).
local function bucket_name(deadline, product, kind)
  return int(deadline) .. ':' .. product .. ':' .. kind
end

-- Lua has room for 8,000 values in a call, so a long list goes in parts. Fields and values in turn stay together.
local function write_all(command, key, list)
  local PART = 4000
  for from = 1, #list, PART do
    redis.call(command, key, unpack(list, from, math.min(from + PART - 1, #list)))
  end
end

-- The values of fields of a hash, as HMGET has them.
local function values_of(key, fields)
  local PART = 4000
  if #fields <= PART then return redis.call('HMGET', key, unpack(fields)) end
  local values = {}
  for from = 1, #fields, PART do
    local part = redis.call('HMGET', key, unpack(fields, from, math.min(from + PART - 1, #fields)))
    for i = 1, #part do values[from + i - 1] = part[i] end
  end
  return values
end

-- Buckets that the script changes: their names in the order in which it planned them, and by name their deadline, and the
-- units to add. Below zero they are taken away.
local bucket_names, bucket_deadlines, bucket_units = {}, {}, {}

local function plan_bucket(name, deadline, units)
  local planned = bucket_units[name]
  if planned then
    bucket_units[name] = planned + units
  else
    bucket_names[#bucket_names + 1] = name
    bucket_deadlines[name], bucket_units[name] = deadline, units
  end
end

local function note_new_bucket(deadline)
  if first_due and deadline < first_due then first_due, is_first_due_new = deadline, true end
end

-- Writes the buckets that were planned. `stamp` must follow.
local function write_buckets()
  local only = bucket_names[1]
  if not only then return end
  -- A lone hold, and holds of one product.
  if #bucket_names == 1 and bucket_units[only] > 0 then
    local deadline, units = bucket_deadlines[only], bucket_units[only]
    if redis.call('HINCRBY', lapses_key, only, int(units)) == units then
      redis.call('ZADD', deadlines_key, int(deadline), only)
      note_new_bucket(deadline)
    end
    return
  end
  local changed, added, gone, stored = {}, {}, {}, values_of(lapses_key, bucket_names)
  for i = 1, #bucket_names do
    local name = bucket_names[i]
    local deadline, units = bucket_deadlines[name], bucket_units[name]
    local sum = units + (stored[i] or 0)
    if units ~= 0 and sum == 0 then
      gone[#gone + 1] = name
    elseif units ~= 0 then
      changed[#changed + 1], changed[#changed + 2] = name, int(sum)
      if not stored[i] then
        added[#added + 1], added[#added + 2] = int(deadline), name
        note_new_bucket(deadline)
      end
    end
  end
  write_all('HSET', lapses_key, changed)
  write_all('ZADD', deadlines_key, added)
  write_all('HDEL', lapses_key, gone)
  write_all('ZREM', deadlines_key, gone)
end
