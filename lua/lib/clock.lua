-- clock: the one source of time, and how numbers are written. Times are epoch milliseconds, those of writes microseconds.

-- The time of the server as it is, in microseconds. What other scripts of the sale saw may be later.
local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- When this script writes, in microseconds. No other write of the sale has the same, and a later one has a greater one.
local written_at

-- A server clock can step back, above all after a fail-over. Without the guard, holds whose units were already given back
-- would be alive again, which is an oversell. So time never runs backwards from the last script that wrote.
local function guarded_now(last_write, server_now)
  written_at = math.max(server_now or server_time(), tonumber(last_write or 0) + 1)
  return math.floor(written_at / 1000)
end

-- By number. Most numbers that a script writes are the same few instants.
local int_texts = {}

-- `..` and tostring keep 14 digits of a whole number. This keeps all of them, at an eighth of what '%.0f' costs.
local function int(number)
  local text = int_texts[number]
  if not text then
    text = string.format('%d', number)
    int_texts[number] = text
  end
  return text
end

-- A whole number in few characters. tonumber(text, 36) reads it.
local function base_36(number, ...)
  local digit = number % 36
  local code, rest = digit < 10 and 48 + digit or 87 + digit, (number - digit) / 36
  if rest == 0 then return string.char(code, ...) end
  return base_36(rest, code, ...)
end

-- Deadlines are rounded up to whole seconds, so that all holds of one second share a bucket and lapse in one addition.
local function deadline_after(now, ms)
  return math.ceil((now + ms) / 1000) * 1000
end
