-- plain_payment: the plain way of `settle`, in front of it, as lib/plain_hold is of `hold`. Nothing is due, and an event
-- says that just the total of an order was captured, in time. The order has one product and no metadata, heard of no payment
-- yet, and its customer let nothing lapse. Or the event came before. Uses keys and clock.

-- Where the first event that is left is in ARGV, and its keys in KEYS, and the reply before it.
local next_event, next_keys, reply = 4, 12, { 'decided', 0 }

do
  local events_key, due_key, events_max, once_ms = KEYS[6], KEYS[7], ARGV[2], ARGV[3]
  -- Fingerprint, event id, and payment id, amount and currency, each of which may be missing. The other lines are empty, but
  -- for two that say nothing here: when it was sent, and that it waits for units.
  local EVENT = '^paid\n(%S+)\n(%S+)\n(%S*)\n(%d*)\n(%S*)\n\n\n%d*\n\n\n1?$'
  local ORDER = '^pending( (%d+) (%d+) %d+ (%d+)=(%d+)@(%d+) (%S+) ?([^\n]*))$'
  local PRODUCT, EVENT_ID_MAX = '^(%d+ %d+) (%d+) (%d+)( .*)$', 40
  local is_plain = #ARGV >= next_event and events_max:find('^%d+$')
    and #KEYS == next_keys - 1 + 3 * (#ARGV - next_event + 1)
  local now, now_text, second
  if is_plain then
    local last_write, first_due, payment_ms = unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due', 'payment_ms'))
    now, first_due = guarded_now(last_write), tonumber(first_due or '')
    is_plain = payment_ms and first_due and now <= first_due
    now_text, second = int(now), base_36(math.floor(now / 1000))
  end
  -- Neighbours of one product and deadline are counted together: what moves from the bucket `was_pending`.
  local product, counters, pending, sold, rest
  local was_pending, moved, has_written = '', 0, false
  while is_plain do
    local order_key, once_key = KEYS[next_keys + 1], KEYS[next_keys + 2]
    local fingerprint, event_id, payment, amount, code = (ARGV[next_event] or ''):match(EVENT)
    -- A key of another type has a table for an answer. It is left, so that what came before it is written whole.
    local settled_as = fingerprint and redis.pcall('GET', once_key)
    while settled_as and settled_as == fingerprint do
      local size, text = #reply, redis.pcall('GET', order_key) or ''
      if text.err then break end
      local heard_at = text:find('\nheard\n\t', 1, true)
      reply[size + 1], reply[size + 2] = 'duplicate', heard_at and text:sub(1, heard_at - 1) or text
      reply[size + 3], reply[size + 4] = '', ''
      next_event, next_keys = next_event + 1, next_keys + 3
      order_key, once_key = KEYS[next_keys + 1], KEYS[next_keys + 2]
      fingerprint, event_id, payment, amount, code = (ARGV[next_event] or ''):match(EVENT)
      settled_as = fingerprint and redis.pcall('GET', once_key)
    end
    local order = fingerprint and not settled_as and #event_id <= EVENT_ID_MAX and redis.pcall('GET', order_key)
    local record, created, due_in, its_product, units, price, currency, customer = tostring(order or ''):match(ORDER)
    local due, total = record and created + due_in, record and int(units * price)
    local is_paid = record and now <= due and (amount == total or amount == '') and (code == currency or code == '')
    local bucket = is_paid and int(due) .. ':' .. its_product .. ':p'
    -- What else the customer has stays. What lapsed, and who let it lapse, needs lib/customers.
    local bought
    if bucket and customer ~= '' then
      local entries = ' ' .. tostring(redis.pcall('HGET', customers_key, customer) or '') .. ' '
      local from, to = entries:find(' ' .. bucket .. '=' .. units .. ' ', 1, true)
      bought = from and entries:sub(2, from) .. its_product .. '=' .. units .. entries:sub(to, -2)
      bucket = bought and not bought:find('abandoned=', 1, true) and bucket
      for deadline in (bought or ''):gmatch('(%d+):%d+:') do bucket = now <= tonumber(deadline) and bucket end
    end
    if bucket ~= was_pending then
      if moved > 0 then
        redis.call('HSET', stock_key, product, string.format('%s %d %d%s', counters, pending - moved, sold + moved, rest))
        if redis.call('HINCRBY', lapses_key, was_pending, int(-moved)) == 0 then
          redis.call('HDEL', lapses_key, was_pending)
          redis.call('ZREM', deadlines_key, was_pending)
        end
      end
      was_pending, product, moved = bucket, its_product, 0
      counters, pending, sold, rest = (bucket and redis.call('HGET', stock_key, product) or ''):match(PRODUCT)
      if not counters then break end
    end
    moved = moved + units
    -- lib/payments and lib/heard say what an order has then.
    local id = order_key:match('[^:]+$')
    local text = 'paid' .. record .. '\npayment:' .. payment .. '\ncaptured=' .. total .. ' exact=1\npaid_at\n' ..
      now_text .. '\npayment\n' .. payment
    if customer ~= '' then redis.call('HSET', customers_key, customer, bought) end
    redis.call('SET', once_key, fingerprint, 'PX', once_ms)
    redis.call('SET', order_key, text .. '\nheard\n\t' .. second .. ' p ' .. event_id)
    redis.call('ZREM', due_key, id)
    if redis.pcall('XADD', events_key, 'MAXLEN', '~', events_max, now_text .. '-*', 'type', 'order.paid', 'at', now_text,
      'order', id, 'record', text).err then
      -- As in lib/book.
      redis.call('XADD', events_key, 'MAXLEN', '~', events_max, '*', 'type', 'order.paid', 'at', now_text, 'order', id,
        'record', text)
    end
    local size = #reply
    reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = 'applied', text, '', ''
    next_event, next_keys, has_written = next_event + 1, next_keys + 3, true
  end
  if has_written then redis.call('HSET', sale_key, 'last_write', int(written_at)) end
  if #reply > 2 then
    reply[2] = now
    if next_event > #ARGV then return reply end
  end
end
