#!lua flags=no-writes
-- find_sale: reads the terms of a sale.
--
-- uses   nothing
-- KEYS   1 sale HASH
-- ARGV   none
-- REPLY  sale_not_found
--        found, the terms as a list
-- cost   O(terms)
-- e.g.   KEYS = { 'sale' }  ARGV = {}  ->  { 'found', { ... } }

-- names
local sale_key = KEYS[1]
if #KEYS ~= 1 or #ARGV ~= 0 then
  return redis.error_reply('ERR find_sale: wrong number of keys or arguments')
end

-- facts
local exists = redis.call('HEXISTS', sale_key, 'hold_ms') == 1

-- decision
if not exists then return { 'sale_not_found' } end
return { 'found', redis.call('HGETALL', sale_key) }
