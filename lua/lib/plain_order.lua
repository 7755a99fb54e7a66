-- plain_order: the plain way of `order`, in front of it, as lib/plain_hold is of `hold`. A hold is there, of one product
-- whose price was not changed, costs something, has no metadata, and is no order yet. Uses keys and clock.

-- Where the first hold that is left is in KEYS, and the reply before it.
local next_pair, reply = 9, { 'decided', 0 }

do
  local events_key, due_key, orders_key, events_max = KEYS[6], KEYS[7], KEYS[8], ARGV[2]
  local HOLD, PRODUCT = '^(%d+)=(%d+) (%d+)%+(%d+) ?([^\n]*)$', '^(%d+) (%d+) (%d+)( (%d+) %d+ (%d+) %d+ .*)$'
  local is_plain = #ARGV == 2 and events_max:find('^%d+$') and #KEYS > next_pair and #KEYS % 2 == 0
  local first_due, currency, now, due, now_text, due_text, head
  if is_plain then
    local last_write, known_due, payment_ms
    last_write, known_due, payment_ms, currency =
      unpack(redis.call('HMGET', sale_key, 'last_write', 'first_due', 'payment_ms', 'currency'))
    now, first_due = guarded_now(last_write), tonumber(known_due or '')
    is_plain = first_due and payment_ms and currency
    due = is_plain and deadline_after(now, payment_ms)
    now_text, due_text = int(now), due and int(due)
    head = due and 'pending ' .. now_text .. ' ' .. int(due - now) .. ' '
  end
  -- Neighbours of one product and deadline are counted together: what moves from the bucket `was_held`.
  local product, available, held, pending, rest, sold, price
  local was_held, moved = '', 0
  while is_plain do
    local hold_key, order_key = KEYS[next_pair], KEYS[next_pair + 1]
    -- A key of another type has a table for an answer. It is left, so that what came before it is written whole.
    local hold = order_key and redis.call('EXISTS', order_key) == 0 and redis.pcall('GET', hold_key)
    local its_product, its_units, made, length, customer = tostring(hold or ''):match(HOLD)
    local deadline = its_product and (made + length) * 1000
    local bucket = deadline and now <= deadline and int(deadline) .. ':' .. its_product .. ':h'
    -- The units of the customer move with those of the product, where they are an entry of their own (lib/customers).
    local entries, from, to
    if bucket and customer ~= '' then
      entries = ' ' .. tostring(redis.pcall('HGET', customers_key, customer) or '') .. ' '
      from, to = entries:find(' ' .. bucket .. '=' .. its_units .. ' ', 1, true)
      bucket = from and bucket
    end
    if bucket ~= was_held then
      if moved > 0 then
        local is_pending = due_text .. ':' .. product .. ':p'
        redis.call('HSET', stock_key, product, string.format('%d %d %d%s', available, held - moved, pending + moved, rest))
        -- Where some are ordered, it says so already.
        if pending == '0' and sold == '0' then redis.call('HSET', stock_key, product .. ':ordered', 1) end
        if redis.call('HINCRBY', lapses_key, was_held, int(-moved)) == 0 then
          redis.call('HDEL', lapses_key, was_held)
          redis.call('ZREM', deadlines_key, was_held)
        end
        if redis.call('HINCRBY', lapses_key, is_pending, int(moved)) == moved then
          redis.call('ZADD', deadlines_key, due_text, is_pending)
        end
      end
      was_held, product, moved = bucket, its_product, 0
      available, held, pending, rest, sold, price =
        (bucket and redis.call('HGET', stock_key, product) or ''):match(PRODUCT)
      if not available or price == '0' then break end
    end
    moved = moved + its_units
    local id = order_key:match('[^:]+$')
    -- lib/book says what an order has.
    local text = head .. int(deadline - now) .. ' ' .. product .. '=' .. its_units .. '@' .. price .. ' ' .. currency
    if customer ~= '' then
      text = text .. ' ' .. customer
      entries = entries:sub(2, from) .. due_text .. ':' .. product .. ':p=' .. its_units .. entries:sub(to, -2)
      redis.call('HSET', customers_key, customer, entries)
    end
    redis.call('DEL', hold_key)
    redis.call('SET', order_key, text)
    redis.call('ZADD', orders_key, now_text, id)
    redis.call('ZADD', due_key, due_text, id)
    if redis.pcall('XADD', events_key, 'MAXLEN', '~', events_max, now_text .. '-*', 'type', 'order.created', 'at', now_text,
      'order', id, 'record', text).err then
      -- As in lib/book.
      redis.call('XADD', events_key, 'MAXLEN', '~', events_max, '*', 'type', 'order.created', 'at', now_text, 'order', id,
        'record', text)
    end
    reply[#reply + 1] = 'created'
    reply[#reply + 1] = text
    next_pair = next_pair + 2
  end
  if #reply > 2 then
    reply[2] = now
    if due < first_due then
      redis.call('HSET', sale_key, 'last_write', int(written_at), 'first_due', due_text)
    else
      redis.call('HSET', sale_key, 'last_write', int(written_at))
    end
    if next_pair > #KEYS then return reply end
  end
end
