#!lua
-- hold_sales: decides holds of several sales in one call, as far as they are plain (lib/plain_runs). What is not plain is
-- left, and needs a call of `hold` for its sale. Its keys are in several slots, so it is for one server that has them all.
--
-- uses   clock, plain_runs
-- KEYS   for each sale: its sale HASH, stock HASH, lapses HASH, deadlines ZSET, customers HASH, and the STRING of each of
--        its holds
-- ARGV   1 not_after, as `hold` has it; then for each sale: number of holds, number of runs, and for each of these number
--        of holds, request, as `hold` has them
-- REPLY  too_late, time of the server            it is past not_after: nothing was done
--        decided, time of the server, and for each sale now, W, S, E, V, and V values: what `hold` says of its first runs
--        Now is 0 where all runs are left.
--        W is the number of the last write of the sale. S is 1 where the call did not make it and only saw it.
--        E is 1 where a hold that is left may exist: the call was sent twice, or somebody made the sale unreadable.
-- cost   O(holds)
-- e.g.   KEYS = { 'sale', 'stock', 'lapses', 'deadlines', 'customers', 'hold:a', 'hold:b' }
--        ARGV = { '', 2, 1, 2, '1=2' }
--        ->  { 'decided', 4102444800000, 4102444800000, 4102444800000006, 0, 0, 4, 2, 'held', 4102444900000, 'USD 500000' }

-- names
local not_after = tonumber(ARGV[1])
local SALE_KEYS, HEAD = 5, 5
-- Where those of the next sale begin.
local next_key, next_arg = 1, 2
while next_arg < #ARGV do
  next_key = next_key + SALE_KEYS + (tonumber(ARGV[next_arg]) or math.huge)
  next_arg = next_arg + 2 + 2 * (tonumber(ARGV[next_arg + 1]) or math.huge)
end
if #KEYS == 0 or next_key ~= #KEYS + 1 or next_arg ~= #ARGV + 1 then
  return redis.error_reply('ERR hold_sales: wrong number of keys or arguments')
end

-- facts
local server_now = server_time()
local server_ms = math.floor(server_now / 1000)
if not_after and server_ms > not_after then return { 'too_late', server_ms } end

-- decision and effects: sale by sale
local reply = { 'decided', server_ms }
next_key, next_arg = 1, 2
while next_arg < #ARGV do
  local holds, last_run = tonumber(ARGV[next_arg]), next_arg + 1 + 2 * ARGV[next_arg + 1]
  local head = #reply
  reply[head + 1], reply[head + 2], reply[head + 3], reply[head + 4], reply[head + 5] = 0, 0, 0, 0, 0
  local is_well, _, next_hold, now, seen = pcall(plain_runs, next_key, holds, next_arg + 2, last_run, server_now, reply)
  local behind = next_key + SALE_KEYS + holds
  if not is_well then
    -- Somebody made this sale unreadable. What was decided before that was noticed, `hold` finds.
    for i = #reply, head + HEAD + 1, -1 do reply[i] = nil end
  elseif now then
    reply[head + 1], reply[head + 2], reply[head + 5] = now, seen or written_at, #reply - head - HEAD
    if seen then reply[head + 3] = 1 end
  end
  if not is_well or next_hold < behind and redis.call('EXISTS', unpack(KEYS, next_hold, behind - 1)) > 0 then
    reply[head + 4] = 1
  end
  next_key, next_arg = behind, last_run + 1
end
return reply
