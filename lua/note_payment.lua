#!lua flags=allow-oom
-- note_payment: keeps beside an order which payment is its own, while the directory of payments cannot say so. Money came,
-- so the note is kept also where there is no memory left.
--
-- uses   nothing
-- KEYS   1 noted SET
-- ARGV   1 the note: '<hold> <payment>'
-- REPLY  noted
-- cost   O(1)
-- e.g.   KEYS = { 'noted' }  ARGV = { 'o1 pi_1' }  ->  { 'noted' }

-- names
local noted_key, note = KEYS[1], ARGV[1]
if #KEYS ~= 1 or #ARGV ~= 1 then
  return redis.error_reply('ERR note_payment: wrong number of keys or arguments')
end

-- facts
local is_noted = redis.call('SISMEMBER', noted_key, note) == 1

-- effects
if not is_noted then redis.call('SADD', noted_key, note) end
return { 'noted' }
