-- plain_hold: the plain way of `hold`, in front of it and of all other functions. Uses keys, clock and plain_runs.

-- By the server's own clock, because that of a sale may be ahead of it. A wrong not_after can only refuse.
local server_now, not_after = server_time(), tonumber(ARGV[3])
local server_ms = math.floor(server_now / 1000)
if not_after and server_ms > not_after then return { 'too_late', server_ms } end

-- Where the first run that is left has its number of holds in ARGV, and its first hold in KEYS, the reply before it, and the
-- instant of what was decided.
local next_run, next_hold, reply, decided_at = 4, 6, { 'decided', 0 }, nil
-- Behind the holds are the keys of claims, with which nothing is plain.
if #KEYS == 5 + (tonumber(ARGV[1]) or 0) then
  next_run, next_hold, decided_at = plain_runs(1, tonumber(ARGV[1]), next_run, #ARGV, server_now, reply)
  if next_run > #ARGV and decided_at then
    reply[2] = decided_at
    return reply
  end
end
