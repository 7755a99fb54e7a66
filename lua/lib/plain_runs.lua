-- plain_runs: the plain way of `hold` and `hold_sales`, for what nearly all holds of a rush are. Each asks for units of one
-- product, for a customer or nobody, the sale is open, limits for each customer are all the rules that it and the product
-- have, and leave the customer enough, no price was changed, nothing is due, and there are units for all holds of the run or
-- for none. `hold` would decide and write the same. But Redis creates each function of a script at every call, and a table
-- costs as much as a command, so this is one function, without tables. A run that is not plain is left, with all behind it.
-- Uses clock.

-- Decides runs of one sale: `count` holds, whose keys begin behind the five of the sale, of which `sale` is the place of
-- the first. The runs are in ARGV from next_run to last_run, and what becomes of each is put into `reply`. Returns where the
-- first run that is left has its number of holds in ARGV, and its first hold in KEYS, the instant of what was decided, or
-- nil, and the number of the last write of the sale, or nil where this is a new one.
local function plain_runs(sale, count, next_run, last_run, server_now, reply)
  local its_sale, its_stock, its_lapses, its_deadlines, its_customers = unpack(KEYS, sale, sale + 4)
  local next_hold, answers = sale + 5, #reply
  -- A product as lib/stock has it: available and held units, all that stays as it is, and in that pending units, price,
  -- max_per_hold and rules.
  local PRODUCT, ENTRIES_MAX = '^(%d+) (%d+)( (%d+) %d+ %d+ (%d+) (%d+) (.*))$', 200
  local is_plain, all = (last_run - next_run) % 2 == 1, 0
  for i = next_run, last_run, 2 do
    local request = ARGV[i + 1] or ''
    is_plain = is_plain and ARGV[i]:find('^%d+$')
      and (request:find('^%d+=[1-9]%d*$') or request:find('^%d+=[1-9]%d* %S+$'))
    if not is_plain then break end
    all = all + ARGV[i]
  end
  is_plain = is_plain and all > 0 and all == count

  local last_write, first_due, hold_ms, starts, ends, paused, rules, currency, now
  if is_plain then
    last_write, first_due, hold_ms, starts, ends, paused, rules, currency = unpack(redis.call('HMGET', its_sale,
      'last_write', 'first_due', 'hold_ms', 'starts', 'ends', 'paused', 'rules', 'currency'))
    now, first_due = guarded_now(last_write, server_now), tonumber(first_due or '')
    local has_begun, has_ended = now >= (tonumber(starts or '') or 0), now >= (tonumber(ends or '') or math.huge)
    is_plain = currency and first_due and now <= first_due and has_begun and not has_ended
      and (not paused or paused == '0' or paused == '')
      and not (rules and (rules:find('visibility=', 1, true) or rules:find('cooldown_holds=', 1, true)))
  end

  local deadline, made, deadline_text, term, most_of_group, most_of_sale, has_written
  if is_plain then
    if rules and rules ~= '' then
      most_of_group, most_of_sale = rules:match('max_per_group=(%d+)'), rules:match('max_per_customer=(%d+)')
    end
    deadline, made = deadline_after(now, hold_ms), deadline_after(now, 0)
    deadline_text, term = int(deadline), string.format(' %d+%d', made / 1000, (deadline - made) / 1000)
  end
  while is_plain and next_run < last_run do
    local holds, request = tonumber(ARGV[next_run]), ARGV[next_run + 1]
    local product, wanted, customer = request:match('^(%d+)=(%d+) ?(.*)$')
    local text = redis.call('HGET', its_stock, product)
    local available, held, rest, pending, price, most, own_rules = (text or ''):match(PRODUCT)
    if not available or wanted - most > 0 then break end
    local units = wanted * holds
    local left, is_short = available - units, available - wanted < 0
    if left < 0 and not is_short then break end
    local group, most_of_product
    if own_rules ~= '' then
      if own_rules:find('visibility=', 1, true) or own_rules:find('archived=', 1, true) then break end
      group, most_of_product = own_rules:match('group=(%S+)'), own_rules:match('max_per_customer=(%d+)')
    end
    -- lib/customers has these entries, and takes out what has lapsed, so a text that became long is for `hold`.
    local entries = customer ~= '' and redis.call('HGET', its_customers, customer)
    if entries and #entries > ENTRIES_MAX then break end
    if most_of_product or most_of_sale or group and most_of_group then
      if customer == '' then break end
      local of_product, of_group, of_sale = units, units, units
      for name, counted in (entries or ''):gmatch('(%S+)=(%d+)') do
        local due, its_product = name:match('^(%d+):(%d+):')
        its_product = its_product or name
        if name ~= 'abandoned' and (not due or now <= tonumber(due)) then
          of_sale = of_sale + counted
          if its_product == product then
            of_product, of_group = of_product + counted, of_group + counted
          elseif group and most_of_group
            and (redis.call('HGET', its_stock, its_product) or ''):match('group=(%S+)') == group then
            of_group = of_group + counted
          end
        end
      end
      if of_product > tonumber(most_of_product or math.huge) or of_sale > tonumber(most_of_sale or math.huge)
        or group and of_group > tonumber(most_of_group or math.huge) then break end
    end
    if is_short then
      local coming_back, release = held + pending, 0
      if coming_back > 0 then
        -- Who looks for a bucket of the product behind the first one is `hold`.
        local its_deadline, its_product = (redis.call('ZRANGE', its_deadlines, 0, 0)[1] or ''):match('^(%d+):(%d+):')
        if its_product ~= product then break end
        release = tonumber(its_deadline)
      end
      -- Where one of them is there, the call was sent twice, and took the last units itself.
      if redis.call('EXISTS', unpack(KEYS, next_hold, next_hold + holds - 1)) > 0 then break end
      local size = #reply
      reply[size + 1], reply[size + 2], reply[size + 3] = holds, 'insufficient_stock', product
      reply[size + 4], reply[size + 5], reply[size + 6] = tonumber(available), coming_back, release
    else
      local bucket, value = deadline_text .. ':' .. product .. ':h', product .. '=' .. wanted .. term
      if customer ~= '' then value = value .. ' ' .. customer end
      -- First of all, so that the bucket is found when it is due even where somebody made unreadable what follows it.
      if not has_written and deadline < first_due then
        redis.call('HSET', its_sale, 'last_write', int(written_at), 'first_due', deadline_text)
      elseif not has_written then
        redis.call('HSET', its_sale, 'last_write', int(written_at))
      end
      has_written = true
      -- Where one of them is there, the call was sent twice.
      local key = next_hold
      while key < next_hold + holds and redis.call('SET', KEYS[key], value, 'NX', 'PXAT', deadline_text) do key = key + 1 end
      if key < next_hold + holds then
        for made_now = next_hold, key - 1 do redis.call('DEL', KEYS[made_now]) end
        break
      end
      if customer ~= '' then
        local entry = bucket .. '=' .. int(units)
        redis.call('HSET', its_customers, customer, entries and entries .. ' ' .. entry or entry)
      end
      redis.call('HSET', its_stock, product, string.format('%d %d%s', left, held + units, rest))
      if redis.call('HINCRBY', its_lapses, bucket, int(units)) == units then
        redis.call('ZADD', its_deadlines, deadline_text, bucket)
      end
      local size = #reply
      reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = holds, 'held', deadline, currency .. ' ' .. price
    end
    next_run, next_hold = next_run + 2, next_hold + holds
  end
  return next_run, next_hold, #reply > answers and now or nil, not has_written and tonumber(last_write or 0) or nil
end
