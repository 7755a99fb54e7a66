#!lua
-- confirm: whether payment events that were settled are still there, and a mark behind them. Whoever waits until the mark is
-- on disk or on a replica knows that what was settled before it is there too.
--
-- uses   nothing
-- KEYS   1 mark STRING; then for each event its once STRING
-- ARGV   none
-- REPLY  marked, and for each event 1, or 0: it was lost with a server that went away
-- cost   O(events)

-- names
local mark_key = KEYS[1]

-- facts
local reply = { 'marked' }
for i = 2, #KEYS do reply[i] = redis.call('EXISTS', KEYS[i]) end

-- effects
redis.call('INCR', mark_key)
return reply
