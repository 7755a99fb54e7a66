#!lua flags=no-writes
-- list_events: lists what happened in a sale, in order, after the last event that a reader has seen.
--
-- uses   nothing
-- KEYS   1 events STREAM
-- ARGV   1 id of the last event seen ('0-0': none), 2 most events to answer
-- REPLY  trimmed        the event seen is not in the log any more, and perhaps others behind it
--        events, and for each its id and its fields as a list
-- cost   O(events answered)
-- e.g.   KEYS = { 'events' }  ARGV = { '1-0', 100 }  ->  { 'events', '2-0', { 'type', 'order.created', ... } }

-- names
local events_key, after, most = KEYS[1], ARGV[1], ARGV[2]
if #KEYS ~= 1 or #ARGV ~= 2 then
  return redis.error_reply('ERR list_events: wrong number of keys or arguments')
end

local function is_before(one, other)
  local one_ms, one_n = one:match('^(%d+)-(%d+)$')
  local other_ms, other_n = other:match('^(%d+)-(%d+)$')
  if one_ms ~= other_ms then return tonumber(one_ms) < tonumber(other_ms) end
  return tonumber(one_n) < tonumber(other_n)
end

-- facts
local first = redis.call('XRANGE', events_key, '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', events_key, '+', '-', 'COUNT', 1)[1]
local found = redis.call('XRANGE', events_key, '(' .. after, '+', 'COUNT', most)

-- decision: an event before the first one that is left was dropped, and nobody knows what was between them. One behind the
-- last was lost with a server that went away, and what comes next may come before it
local is_gone = not first or is_before(after, first[1]) or is_before(last[1], after)
if after ~= '0-0' and is_gone then return { 'trimmed' } end
local reply = { 'events' }
for _, entry in ipairs(found) do
  local id, fields = unpack(entry)
  reply[#reply + 1] = id
  reply[#reply + 1] = fields
end
return reply
