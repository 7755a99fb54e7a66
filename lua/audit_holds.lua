#!lua flags=no-writes
-- audit_holds: reads holds of a sale for an audit.
--
-- uses   clock, holds
-- KEYS   1 sale HASH; then hold STRINGs
-- ARGV   none
-- REPLY  holds, and for each its deadline (0: it is gone, -1: it cannot be read), lines, customer
-- cost   O(holds)
-- e.g.   KEYS = { 'sale', 'hold:h1' }  ARGV = {}  ->  { 'holds', 4102444900000, '1=2', 'alice' }

-- names
local sale_key = KEYS[1]
local HOLDS = 2
if #KEYS < 1 or #ARGV ~= 0 then
  return redis.error_reply('ERR audit_holds: wrong number of keys or arguments')
end

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_write'))
local reply = { 'holds' }
for i = HOLDS, #KEYS do
  -- A key of another type must not end the audit.
  local is_read, hold = pcall(live_hold, KEYS[i], now)
  hold = is_read and (hold or { deadline = 0 }) or { deadline = -1 }
  reply[#reply + 1] = hold.deadline
  reply[#reply + 1] = hold.lines or ''
  reply[#reply + 1] = hold.customer or ''
end
return reply
