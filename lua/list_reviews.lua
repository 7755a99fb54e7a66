#!lua flags=no-writes
-- list_reviews: lists reviews of a sale by time, those of one time by id.
--
-- uses   pages
-- KEYS   1 reviews or resolved ZSET, 2 review_records HASH
-- ARGV   1 time and 2 id of the last review of the page before (0 and '': none), 3 most reviews to answer
-- REPLY  reviews, and for each its id, its time in the index, and its record
-- cost   O(log reviews + reviews answered + those of the same millisecond on earlier pages)
-- e.g.   KEYS = { 'reviews', 'review_records' }  ARGV = { 0, '', 100 }
--        ->  { 'reviews', '1a7b1d81e8b055dc689m', '4102444800000', 'hold_expired\npaid\ngone\ne1\npi_1\n500000...' }

-- names
local index_key, records_key = KEYS[1], KEYS[2]
local after_ms, after_id, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
if #KEYS ~= 2 or #ARGV ~= 3 then
  return redis.error_reply('ERR list_reviews: wrong number of keys or arguments')
end

-- facts
local page = page_of(index_key, after_ms, after_id, most)
local reply = { 'reviews' }
for i = 1, #page, 2 do
  reply[#reply + 1] = page[i]
  reply[#reply + 1] = page[i + 1]
  reply[#reply + 1] = redis.call('HGET', records_key, page[i]) or ''
end
return reply
