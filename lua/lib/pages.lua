-- pages: reads an index by time page by page. Uses nothing.

-- By bytes, as the index orders its members. Lua's `<` follows the locale of the server.
local function is_behind(id, other)
  for at = 1, #id do
    local byte, other_byte = id:byte(at), other:byte(at)
    if byte ~= other_byte then return not other_byte or byte > other_byte end
  end
  return false
end

-- At most so many members behind the one with this time and id, as a list of id and time in turn. Members of one time come
-- in the order of their ids, so whatever is added or removed meanwhile, no other is listed twice or left out.
local function page_of(index_key, after_ms, after_id, most)
  local STEP = 256
  local page, from = {}, 0
  repeat
    local found = redis.call('ZRANGE', index_key, after_ms, '+inf', 'BYSCORE', 'LIMIT', from, STEP, 'WITHSCORES')
    for i = 1, #found, 2 do
      local id, ms = found[i], found[i + 1]
      if (tonumber(ms) > tonumber(after_ms) or is_behind(id, after_id)) and #page < 2 * most then
        page[#page + 1] = id
        page[#page + 1] = ms
      end
    end
    from = from + STEP
  until #found < 2 * STEP or #page >= 2 * most
  return page
end
