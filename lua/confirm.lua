#!lua flags=allow-oom
-- confirm: answers whether payment events that were settled are still stored, and leaves a mark behind them. Once the mark
-- is on disk or on a replica, so is everything that was settled before it.
--
-- uses   nothing
-- KEYS   1 mark STRING; then for each event its once STRING
-- ARGV   none
-- REPLY  marked, and for each event 1, or 0: it was lost with a server that went away
-- cost   O(events)
-- e.g.   KEYS = { 'mark', 'once:e1', 'once:lost' }  ARGV = {}  ->  { 'marked', 1, 0 }

-- names
local mark_key = KEYS[1]
local ONCE_KEYS = 2
if #KEYS < 1 or #ARGV ~= 0 then
  return redis.error_reply('ERR confirm: wrong number of keys or arguments')
end

-- facts
local reply = { 'marked' }
for i = ONCE_KEYS, #KEYS do reply[i] = redis.call('EXISTS', KEYS[i]) end

-- effects
redis.call('INCR', mark_key)
return reply
