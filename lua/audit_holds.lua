#!lua flags=no-writes
-- audit_holds: holds of a sale as they stand.
--
-- uses   clock, records
-- KEYS   1 sale HASH; then hold STRINGs
-- ARGV   none
-- REPLY  holds, and for each its deadline (0: it is gone), lines, customer
-- cost   O(holds)

-- names
local sale_key = KEYS[1]

-- facts
local now = guarded_now(redis.call('HGET', sale_key, 'last_now'))
local reply = { 'holds' }
for i = 2, #KEYS do
  local hold = live_hold(KEYS[i], now) or { deadline = 0, lines = '', customer = '' }
  reply[#reply + 1] = hold.deadline
  reply[#reply + 1] = hold.lines
  reply[#reply + 1] = hold.customer
end
return reply
