-- sales: the terms of a sale, and the events about it and its products. Uses units and book.

-- Rules (lib/rules) with this value of one of them. '' takes the rule away. The text stays as it is where it has the value.
local function with_rule(text, name, value)
  if (' ' .. text .. ' '):find(' ' .. name .. '=' .. value .. ' ', 1, true) then return text end
  local entries = {}
  for entry in text:gmatch('%S+') do
    if entry:match('^[^=]+') ~= name then entries[#entries + 1] = entry end
  end
  if value ~= '' then entries[#entries + 1] = name .. '=' .. value end
  return table.concat(entries, ' ')
end

-- Terms of a sale that are rules (lib/rules).
local SALE_RULES = { cooldown_holds = true, max_per_customer = true, max_per_group = true, visibility = true }

-- Writes fields and values in turn. A rule without a value has its default.
local function set_terms(terms)
  local rules = redis.call('HGET', sale_key, 'rules') or ''
  for i = 1, #terms, 2 do
    local field, value = terms[i], terms[i + 1]
    if SALE_RULES[field] then
      rules = with_rule(rules, field, value)
    else
      redis.call('HSET', sale_key, field, value)
    end
  end
  redis.call('HSET', sale_key, 'rules', rules)
end

-- A new sale knows when something is due: there may be buckets where somebody deleted the sale that was there before.
local function make_sale(terms)
  first_due = tonumber(redis.call('ZRANGE', deadlines_key, 0, 0, 'WITHSCORES')[2] or math.huge)
  is_first_due_new = true
  set_terms(terms)
end

-- Writes a product all of whose units are available.
local function write_new_product(product_key, id, name, metadata, price, total, max_per_hold, rules)
  frees = true
  redis.call('HSET', product_key, 'name', name)
  if metadata ~= '' then redis.call('HSET', product_key, 'metadata', metadata) end
  redis.call('HSET', stock_key, id, product_text({ available = total, held = 0, pending = 0, sold = 0, total = total,
    price = price, max_per_hold = max_per_hold, rules = rules }))
end

-- The whole record of the sale as a list of fields and values.
local function sale_terms()
  return redis.call('HGETALL', sale_key)
end

-- An event of the sale itself, with its terms as they are now. before: nil, or the terms before the change.
local function log_sale_event(kind, now, before)
  local terms = sale_terms()
  terms[#terms + 1] = before and 'before'
  terms[#terms + 1] = before and table.concat(before, '\n')
  log_event(kind, now, 'terms', '1', unpack(terms))
end

-- An event of a product, with its row (lib/products). before: nil, or its row before the change. Then further fields and
-- values, where there is a row before.
local function log_product_event(kind, row, now, before, ...)
  local currency, starts, ends, paused = unpack(redis.call('HMGET', sale_key, 'currency', 'starts', 'ends', 'paused'))
  local id, name, metadata,
    price, total, available, held, pending, sold, max_per_hold, rules, next_ms, lent = unpack(row)
  -- In the log the product has all its units, wherever they are.
  if lent ~= '0' then total, available = int(total + lent), int(available + lent) end
  log_event(kind, now, 'product', id, 'currency', currency, 'starts', starts or '', 'ends', ends or '',
    'paused', paused or '', 'name', name,
    'metadata', metadata,
    'price', price, 'total', total, 'available', available, 'held', held,
    'pending', pending, 'sold', sold, 'max_per_hold', max_per_hold, 'rules', rules,
    'next_release', next_ms, before and 'before', before and table.concat(before, '\n'), ...)
end
