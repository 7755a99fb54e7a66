#!lua flags=allow-oom
-- change_sale: changes terms of a sale, all or none, for every worker at once. Holds and orders that exist keep theirs.
--
-- uses   keys, clock, buckets, stock, units, customers, holds, rules, records, book, sales
-- KEYS   1 sale HASH, 2 stock HASH, 3 lapses HASH, 4 deadlines ZSET, 5 customers HASH, 6 events STREAM, 7 due ZSET,
--        8 orders ZSET
-- ARGV   1 retention_ms, 2 most events to keep, then field and value of each term to change
-- REPLY  sale_not_found
--        terms_conflict, field    the field would be more than its maximum, or the window would end before it begins
--        changed, the terms as a list, those before as a list that is empty where nothing changed
-- cost   O(terms)
-- e.g.   KEYS = { book }  ARGV = { 60000, 1000, 'paused', 1 }  ->  { 'changed', { ... }, { ... } }

-- names
local TERMS = 3
if #KEYS ~= BOOK_KEYS or #ARGV < TERMS - 1 or #ARGV % 2 ~= 0 then
  return redis.error_reply('ERR change_sale: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_write'))
local flat_terms = sale_terms()
local terms = {}
for i = 1, #flat_terms, 2 do terms[flat_terms[i]] = flat_terms[i + 1] end
local exists = terms.hold_ms
for name, value in pairs(read_rules(terms.rules or '')) do terms[name] = value end
local changes = 0
for i = TERMS, #ARGV, 2 do
  if (terms[ARGV[i]] or '') ~= ARGV[i + 1] then changes = changes + 1 end
  terms[ARGV[i]] = ARGV[i + 1]
end

-- '' is no limit.
local function exceeds(field, most)
  local value, bound = tonumber(terms[field] or ''), tonumber(terms[most] or '')
  return value and bound and value > bound
end

-- decision
if not exists then return { 'sale_not_found' } end
if exceeds('hold_ms', 'hold_max_ms') then return { 'terms_conflict', 'hold_ms' } end
if exceeds('payment_ms', 'payment_max_ms') then return { 'terms_conflict', 'payment_ms' } end
if exceeds('starts', 'ends') or ((terms.starts or '') ~= '' and terms.starts == terms.ends) then
  return { 'terms_conflict', 'ends' }
end
if changes == 0 then return { 'changed', sale_terms(), {} } end

-- effects
set_terms({ unpack(ARGV, TERMS) })
log_sale_event('sale.changed', now, flat_terms)
write_book()
return { 'changed', sale_terms(), flat_terms }
