-- clock: the one source of time, in epoch milliseconds, and how numbers are written.

-- The time of the server as it is. What other scripts of the sale saw may be later.
local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A server clock can step back, above all after a fail-over. Without the guard, holds whose units were already given back
-- would be alive again, which is an oversell. So time never runs backwards from the last script that wrote.
local function guarded_now(last_now, server_now)
  return math.max(server_now or server_time(), tonumber(last_now or 0))
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
