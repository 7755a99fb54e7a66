#!lua
-- hold: decides a batch of holds of one sale, in the order of their arrival, each on its own.
--
-- uses   clock, units
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET;
--        then for each hold: its hold STRING, and its once STRING when ARGV gives a claim
-- ARGV   1 number of holds, 2 once_ms: how long an idempotency key is remembered;
--        then for each hold: claim ('' or '<fingerprint> <hold id>'), hold_ms wanted (0: the sale's own),
--        customer ('' or an id), number of lines, and for each line: product, units
-- REPLY  behind                                  lapsed units are left to reclaim: nothing was decided, call again
--        decided, now, and for each hold one of
--          idempotency_key_reused                the key was used with another fingerprint
--          replayed, deadline, hold id           the key was used for this very hold
--          product_not_found, product
--          quantity_above_limit, product, most units in one hold
--          insufficient_stock, product, available, coming back (held + pending), next release in ms or 0
--          held, deadline                        also when this hold is already there: the call was sent twice
-- cost   O(holds + due buckets); a refusal where units may come back reads up to 1,024 bucket names, once a product

-- names
local count, once_ms = tonumber(ARGV[1]), ARGV[2]
local key_at, arg_at = 4, 2

local function next_key()
  key_at = key_at + 1
  return KEYS[key_at]
end

local function next_arg()
  arg_at = arg_at + 1
  return ARGV[arg_at]
end

local function next_ask()
  local ask = { hold_key = next_key(), claim = next_arg(), hold_ms = tonumber(next_arg()), customer = next_arg() }
  if ask.claim ~= '' then ask.once_key = next_key() end
  for i = 1, tonumber(next_arg()) do
    ask[i] = { product = next_arg(), units = tonumber(next_arg()) }
  end
  return ask
end

-- facts
local sale = redis.call('HMGET', sale_key, 'last_now', 'hold_ms', 'hold_max_ms')
local now = guarded_now(sale[1])
if reclaim(now) then return { 'behind' } end

local asks, hold_keys = {}, {}
for i = 1, count do
  asks[i] = next_ask()
  hold_keys[i] = asks[i].hold_key
end
local some_known = redis.call('EXISTS', unpack(hold_keys)) > 0

local products = {}
local function product_of(id)
  if products[id] == nil then
    local f = redis.call('HMGET', stock_key, id .. ':available', id .. ':held', id .. ':pending', id .. ':max_per_hold')
    products[id] = f[1] and { available = tonumber(f[1]), held = tonumber(f[2]), pending = tonumber(f[3]), most = tonumber(f[4]) }
  end
  return products[id]
end

-- decision: in memory alone, so that a later hold of the batch sees what the earlier ones took
local claims = {}

local function earlier_claim(ask)
  if ask.claim == '' then return nil end
  local claim = claims[ask.once_key] or redis.call('GET', ask.once_key)
  if not claim then return nil end
  local fingerprint, hold, deadline = claim:match('^(%S+) (%S+) (%d+)$')
  local own_fingerprint, own_hold = ask.claim:match('^(%S+) (%S+)$')
  if fingerprint ~= own_fingerprint then return { 'idempotency_key_reused' } end
  if hold == own_hold then return { 'held', tonumber(deadline) } end
  return { 'replayed', tonumber(deadline), hold }
end

-- What this batch took is in no bucket yet.
local function first_release(id, product)
  product.next_release = product.next_release or next_release(id)
  local stored, taken = product.next_release, product.taken_until
  if not taken then return stored end
  return stored == 0 and taken or math.min(stored, taken)
end

local function refusal(line)
  local product, units = products[line.product], line.units
  if not product then return { 'product_not_found', line.product } end
  if units > product.most then return { 'quantity_above_limit', line.product, product.most } end
  if units > product.available then
    return { 'insufficient_stock', line.product, product.available, product.held + product.pending,
      product.held + product.pending > 0 and first_release(line.product, product) or 0 }
  end
end

local function take(ask)
  for _, line in ipairs(ask) do
    local product = products[line.product]
    product.available = product.available - line.units
    product.held = product.held + line.units
    product.taken = (product.taken or 0) + line.units
    product.taken_until = math.min(product.taken_until or ask.deadline, ask.deadline)
  end
end

local function decide(ask)
  local earlier = earlier_claim(ask)
  if earlier then return earlier end
  if some_known and redis.call('EXISTS', ask.hold_key) == 1 then
    return { 'held', redis.call('PEXPIRETIME', ask.hold_key) }
  end
  for i, line in ipairs(ask) do
    local units = line.units
    if not (units and units == units and units >= 1 and units <= 1000000 and units == math.floor(units)) then
      return redis.error_reply('ERR hold: units must be a whole number from 1 to 1000000')
    end
    product_of(line.product)
    for before = 1, i - 1 do
      if ask[before].product == line.product then return redis.error_reply('ERR hold: a product stands in two lines') end
    end
    local no = refusal(line)
    if no then return no end
  end
  local ms = ask.hold_ms > 0 and math.min(ask.hold_ms, tonumber(sale[3])) or tonumber(sale[2])
  ask.deadline = deadline_after(now, ms)
  take(ask)
  if ask.claim ~= '' then claims[ask.once_key] = ask.claim .. ' ' .. int(ask.deadline) end
  return { 'held', ask.deadline }
end

local reply = { 'decided', now }
for i, ask in ipairs(asks) do
  local decision = decide(ask)
  if decision.err then return decision end
  reply[i + 2] = decision
end

-- effects
local owed, wrote = {}, false
for _, ask in ipairs(asks) do
  if ask.deadline then
    wrote = true
    local lines = {}
    for i, line in ipairs(ask) do
      lines[i] = line.product .. '=' .. int(line.units)
      local name = bucket(ask.deadline, line.product, 'h')
      owed[name] = owed[name] or { ask.deadline, line.product, 0 }
      owed[name][3] = owed[name][3] + line.units
    end
    local value = table.concat(lines, ',')
    if ask.customer ~= '' then value = value .. ' ' .. ask.customer end
    redis.call('SET', ask.hold_key, value, 'PXAT', int(ask.deadline))
  end
end
if not wrote then return reply end
for once_key, claim in pairs(claims) do redis.call('SET', once_key, claim, 'PX', once_ms) end
for _, sum in pairs(owed) do owe(sum[1], sum[2], 'h', sum[3]) end
for id, product in pairs(products) do
  if product and product.taken then move(id, 'available', 'held', product.taken) end
end
stamp(now)
return reply
