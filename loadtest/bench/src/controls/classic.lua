#!lua
-- What a script for one hold usually looks like: a counter, a key with a TTL, and an index of deadlines from which lapsed
-- units come back. Controls C1 and C2 call it once a request.
-- KEYS 1 units left STRING, 2 deadlines ZSET, 3 hold STRING; ARGV 1 units, 2 hold_ms, 3 hold id
-- REPLY the deadline in epoch ms, or -1: not enough
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lapsed = redis.call('ZRANGE', KEYS[2], '-inf', '(' .. string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, 100)
for _, hold in ipairs(lapsed) do
  redis.call('INCRBY', KEYS[1], hold:match('=(%d+)$'))
  redis.call('ZREM', KEYS[2], hold)
end
local units = tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[1]) or 0) < units then return -1 end
local deadline = string.format('%.0f', now + ARGV[2])
redis.call('DECRBY', KEYS[1], units)
redis.call('SET', KEYS[3], units, 'PXAT', deadline)
redis.call('ZADD', KEYS[2], deadline, ARGV[3] .. '=' .. ARGV[1])
return tonumber(deadline)
