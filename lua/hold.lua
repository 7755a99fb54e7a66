#!lua
-- hold: decides a batch of holds of one sale, in the order of their arrival, each on its own.
-- In a rush most buyers want the same. Neighbours that do are a run, and the script decides and answers a run as one.
--
-- uses   keys, clock, plain_runs, plain_hold, buckets, stock, units, customers, limits, rules, holds, prices
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH; then for each hold its hold
--        STRING; then for each run with a claim its once STRING
-- ARGV   1 number of holds, 2 once_ms: how long an idempotency key is remembered, 3 not_after: the time of the server's
--        clock at which the callers have given up, or '' when nobody knows; then for each run: number of holds, request.
--        A request is '<lines>' or '<lines> <customer>'. Lines are '1=2,7=1': product=units, each product once.
--        It may go on behind a newline: '<hold_ms>' or '<hold_ms> <claim>'. hold_ms is the duration asked for, or 0 for
--        that of the sale. A claim is '<fingerprint> <hold id>' of an idempotency key. A request with a claim is a run of
--        its own. Behind another newline it has the metadata of the hold.
-- REPLY  too_late, time of the server            it is past not_after: nothing was done
--        behind                                  lapsed units are left to reclaim: nothing was decided, call again
--        decided, now, and in the order of the holds in turn a number of holds, how they were decided, and the values of it
--          idempotency_key_reused                the key was used with another fingerprint
--          replayed, deadline, costs, hold id    the key was used for this very hold
--          product_not_found, product
--          product_hidden, product               buyers see no difference, and the caller need not look for it elsewhere
--          sale_ended, when it started in ms or 0
--          sale_not_started, when it starts in ms
--          sale_paused, when it started in ms or 0
--          quantity_above_limit, product, most units in one hold
--          customer_cooling_down, until when     too many holds of this customer were left to lapse
--          customer_id_required, limit, of what  there is a limit for each customer
--          customer_limit_reached, limit, of what, most units of a customer, units that this one may still have
--          insufficient_stock, product, available, coming back (held + pending), next release in ms or 0
--          held, deadline, costs                 also when this hold exists: the call was sent twice
--        Limit and of what are 'product' and its id, 'group' and its name, or 'sale' and '' (lib/limits).
--        Costs are '<currency> <prices>', what one unit of each line costs: 'USD 500000,120000'.
-- cost   O(holds + due buckets); a refusal where units may come back reads up to 1,024 bucket names, once a product
--        with max_per_group of the sale: also a read of each product that a customer of the batch has, once
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines', 'customers', 'hold:a', 'hold:b', 'hold:c', 'once:k' }
--        ARGV = { 3, 60000, '', 2, '1=2', 1, '2=1 bob\n30000 fingerprint c' }
--        ->  { 'decided', 4102444800000, 2, 'held', 4102444900000, 'USD 500000',
--              1, 'held', 4102444830000, 'USD 500000' }

-- names
local count, once_ms = tonumber(ARGV[1]), ARGV[2]
local HOLDS, RUNS, UNITS_MAX = 5, 4, 1000000
if not count or #KEYS < HOLDS + count or #ARGV <= RUNS or #ARGV % 2 == 0 then
  return redis.error_reply('ERR hold: wrong number of keys or arguments')
end

-- A run has the product and the units of each line in turn, and by name: `lines`, their text, `holds`, how many, and
-- `first`, where the first of them is in KEYS. Few have `customer`, `hold_ms`, `metadata`, or `claim` and `once_key`.
-- nil: the request cannot be read.
local function read_request(text)
  local head, ms, claim, metadata = text:match('^([^\n]+)\n(%d+) ?([^\n]*)\n?(.*)$')
  local lines, customer = (head or text):match('^(%S+) ?(.*)$')
  if not lines then return nil end
  local seen, run = {}, { lines = lines, customer = customer ~= '' and customer, hold_ms = tonumber(ms or 0),
    metadata = metadata, claim = claim ~= '' and claim }
  for part in lines:gmatch('[^,]+') do
    local product, units_text = part:match('^(%d+)=(%d+)$')
    local units = tonumber(units_text or 0)
    if units < 1 or units > UNITS_MAX or seen[product] then return nil end
    seen[product] = true
    run[#run + 1], run[#run + 2] = product, units
  end
  return run[1] and run
end

-- The runs that the plain way left, and the products of all of them, each once.
local runs, named, is_named, next_once = {}, {}, {}, HOLDS + count + 1
local first_hold = next_hold
for i = next_run, #ARGV, 2 do
  local run = read_request(ARGV[i + 1])
  if not run then
    return redis.error_reply('ERR hold: a request has lines of a product and 1 to 1000000 units, each product once')
  end
  for line = 1, #run, 2 do
    local product = run[line]
    if not is_named[product] then
      is_named[product] = true
      named[#named + 1] = product
    end
  end
  run.first, run.holds = next_hold, tonumber(ARGV[i])
  next_hold = next_hold + run.holds
  if run.claim then
    run.once_key = KEYS[next_once]
    next_once = next_once + 1
  end
  runs[#runs + 1] = run
end
if next_hold ~= HOLDS + count + 1 or next_once ~= #KEYS + 1 then
  return redis.error_reply('ERR hold: wrong number of keys or arguments')
end

-- facts
local last_write, known_due, sale_hold_ms, hold_max_ms, starts_text, ends_text, paused, rules_text, currency =
  unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due', 'hold_ms', 'hold_max_ms', 'starts', 'ends', 'paused',
    'rules', 'currency'))
local now = guarded_now(last_write, server_now)
-- What the plain way decided of this call was at that instant, and nothing may come due or end within a call.
now = decided_at or now
if reclaim(now, known_due) then return { 'behind' } end
local some_exist = redis.call('EXISTS', unpack(KEYS, first_hold, HOLDS + count)) > 0

-- By name. Most sales have no rules.
local sale_rules = rules_text and rules_text ~= '' and read_rules(rules_text)
-- Whether the sale or a product that was read has a limit for each customer.
local is_limited = sale_rules and (sale_rules.max_per_customer or sale_rules.max_per_group)

-- A product with what its rules say, or false: there is none.
local function stock_of(id)
  local stock = product_at(id)
  if stock and stock.rules ~= '' and not stock.has_rules then
    local rules = read_rules(stock.rules)
    stock.has_rules, stock.group, stock.is_hidden = true, rules.group, rules.visibility == 'hidden' or rules.archived
    stock.most_of_customer = tonumber(rules.max_per_customer)
    is_limited = is_limited or stock.most_of_customer
  end
  return stock
end

read_products(named)
for i = 1, #named do stock_of(named[i]) end

-- decision: in memory alone, so that a later hold of the batch sees what the earlier ones took
local takes, claims, made = {}, {}, deadline_after(now, 0)
reply[2] = now

local function answer(holds, decision)
  reply[#reply + 1] = holds
  for i = 1, #decision do reply[#reply + 1] = decision[i] end
end

-- What an earlier call, or an earlier hold of this one, decided about the idempotency key of the run or the hold at `key` in
-- KEYS. nil: nothing.
local function decided_before(run, key)
  local value = run.claim and (claims[run.once_key] or redis.call('GET', run.once_key))
  if value then
    -- The once value that `take` makes of a claim: '<fingerprint> <hold id> <deadline> <costs>'.
    local fingerprint, hold, deadline, costs = value:match('^(%S+) (%S+) (%d+) (.+)$')
    if run.claim == fingerprint .. ' ' .. hold then return { 'held', tonumber(deadline), costs } end
    if run.claim:sub(1, #fingerprint + 1) ~= fingerprint .. ' ' then return { 'idempotency_key_reused' } end
    return { 'replayed', tonumber(deadline), costs, hold }
  end
  local hold = live_hold(KEYS[key], 0)
  if hold then
    local prices = {}
    for i = 1, #run, 2 do prices[#prices + 1] = price_at(run[i], product_at(run[i]).price, hold.made) end
    return { 'held', hold.deadline, currency .. ' ' .. table.concat(prices, ',') }
  end
end

-- Whether the sale takes holds at this moment: one answer for all.
local closed
local starts, ends = tonumber(starts_text or ''), tonumber(ends_text or '')
if ends and now >= ends then
  closed = { 'sale_ended', starts or 0 }
elseif starts and now < starts then
  closed = { 'sale_not_started', starts }
elseif paused and paused ~= '0' and paused ~= '' then
  closed = { 'sale_paused', starts or 0 }
end

local function shortage(product, stock)
  local coming_back, release = stock.held + stock.pending, 0
  if coming_back > 0 then
    stock.next_release = stock.next_release or next_release(product)
    release = stock.next_release
    -- What this batch took is in no bucket yet.
    local until_then = stock.taken_until
    if until_then and (release == 0 or until_then < release) then release = until_then end
  end
  return { 'insufficient_stock', product, stock.available, coming_back, release }
end

-- Why the run may have no hold at this point of the batch. nil: it may have one, and `run.allowed` is how many holds the
-- limits of its customer allow. nil there: as many as there are.
local function refusal(run)
  for i = 1, #run, 2 do
    local stock = products[run[i]]
    if not stock then return { 'product_not_found', run[i] } end
    if stock.is_hidden or sale_rules and sale_rules.visibility == 'hidden' then return { 'product_hidden', run[i] } end
  end
  if closed then return closed end
  for i = 1, #run, 2 do
    local most = products[run[i]].max_per_hold
    if run[i + 1] > most then return { 'quantity_above_limit', run[i], most } end
  end
  local cooldown_holds = sale_rules and tonumber(sale_rules.cooldown_holds)
  if cooldown_holds and run.customer then
    local cooldown_ms = tonumber(redis.call('HGET', sale_key, 'cooldown_ms'))
    local again = cooling_until(customer_at(run.customer, now), cooldown_holds, cooldown_ms, now)
    if again then return { 'customer_cooling_down', again } end
  end
  local refused = is_limited and limit_refusal(run, sale_rules, stock_of, now)
  if refused then return refused end
  for i = 1, #run, 2 do
    local stock = products[run[i]]
    if run[i + 1] > stock.available then return shortage(run[i], stock) end
  end
end

-- How long a hold lasts that asks for nothing else, and the longest.
local usual_ms = tonumber(sale_hold_ms)
local most_ms = tonumber(hold_max_ms) or usual_ms

-- Takes units for this many holds of the run, and answers so. `key` is where the first of them is in KEYS.
local function take(run, key, holds)
  local ms = run.hold_ms and run.hold_ms > 0 and math.min(run.hold_ms, most_ms) or usual_ms
  local deadline, costs = deadline_after(now, ms), nil
  for i = 1, #run, 2 do
    local product, units = run[i], run[i + 1] * holds
    local stock, bucket = products[product], bucket_name(deadline, product, 'h')
    local price = price_at(product, stock.price, made)
    costs = costs and costs .. ',' .. price or currency .. ' ' .. price
    add_units(product, 'available', -units)
    add_units(product, 'held', units)
    if not stock.taken_until or deadline < stock.taken_until then stock.taken_until = deadline end
    plan_bucket(bucket, deadline, units)
    if run.customer then add_customer_due_back(run.customer, bucket, units, now) end
  end
  takes[#takes + 1] = { run, key, key + holds - 1, deadline }
  if run.claim then claims[run.once_key] = run.claim .. ' ' .. int(deadline) .. ' ' .. costs end
  local last = #reply
  reply[last + 1], reply[last + 2], reply[last + 3], reply[last + 4] = holds, 'held', deadline, costs
end

-- The first holds of a run get what they want as long as units last. All others are refused for one reason.
local function decide(run, key, holds)
  local refused = refusal(run)
  if not refused then
    local enough = run.allowed or holds
    for i = 1, #run, 2 do enough = math.min(enough, holds, math.floor(products[run[i]].available / run[i + 1])) end
    take(run, key, enough)
    holds = holds - enough
    if holds > 0 then refused = refusal(run) end
  end
  if holds > 0 then answer(holds, refused) end
end

for r = 1, #runs do
  local run = runs[r]
  if run.claim or some_exist then
    for key = run.first, run.first + run.holds - 1 do
      local earlier = decided_before(run, key)
      if earlier then answer(1, earlier) else decide(run, key, 1) end
    end
  else
    decide(run, run.first, run.holds)
  end
end
if #takes == 0 then return reply end

-- effects
for i = 1, #takes do
  local run, first, last, deadline = unpack(takes[i])
  local value = hold_value(run.lines, made, deadline, run.customer, run.metadata)
  for key = first, last do redis.call('SET', KEYS[key], value, 'PXAT', int(deadline)) end
end
for once_key, claim in pairs(claims) do redis.call('SET', once_key, claim, 'PX', once_ms) end
write_customers()
write_buckets()
write_products()
stamp()
return reply
