#!lua flags=no-writes
-- list_reviews: reviews of a sale by time, those of one time by id.
--
-- uses   nothing
-- KEYS   1 reviews or resolved ZSET, 2 review_records HASH
-- ARGV   1 time and 2 id of the last review that was told before (0 and '': none), 3 most reviews to tell
-- REPLY  reviews, and for each its id, its time in the index, and its record
-- cost   O(log reviews + reviews told + those of the same millisecond that were told before)

-- names
local index_key, records_key = KEYS[1], KEYS[2]
local after_ms, after_id, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local STEP = 128

-- As the index has them: by their bytes. Lua compares by the alphabet of the server's language.
local function is_behind(id, other)
  for at = 1, #id do
    local byte, other_byte = id:byte(at), other:byte(at)
    if byte ~= other_byte then return not other_byte or byte > other_byte end
  end
  return false
end

-- facts
local reply, from = { 'reviews' }, 0
repeat
  local found = redis.call('ZRANGE', index_key, after_ms, '+inf', 'BYSCORE', 'LIMIT', from, STEP, 'WITHSCORES')
  for i = 1, #found, 2 do
    local id, ms = found[i], found[i + 1]
    if (tonumber(ms) > tonumber(after_ms) or is_behind(id, after_id)) and #reply < 1 + 3 * most then
      reply[#reply + 1] = id
      reply[#reply + 1] = ms
      reply[#reply + 1] = redis.call('HGET', records_key, id) or ''
    end
  end
  from = from + STEP
until #found < 2 * STEP or #reply >= 1 + 3 * most
return reply
