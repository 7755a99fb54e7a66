-- As many holds as the service can take: one unit of one product, over and over.
--   PRODUCT=1 UNITS=100 wrk -t2 -c32 -d2s --latency -s loadtest/wrk/hold.lua http://127.0.0.1:8080
-- The script shows API_KEY to a service that asks for one. With UNITS, the units of the product at the start, it exits with
-- 1 when more were given out. wrk drops answers that are on their way when it stops, so the service may have given out up to
-- one more for each connection.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  wrk.method = "POST"
  wrk.path = "/api/holds"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["X-Api-Key"] = os.getenv("API_KEY")
  wrk.body = ('{"product_id":%d,"quantity":1}'):format(tonumber(os.getenv("PRODUCT") or 1))
  once = wrk.format()
  held, refused, other = 0, 0, 0
end

function request()
  return once
end

function response(status)
  if status == 201 then
    held = held + 1
  elseif status == 409 then
    refused = refused + 1
  else
    other = other + 1
  end
end

function done(summary, latency)
  local sum = { held = 0, refused = 0, other = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(sum) do
      sum[name] = sum[name] + thread:get(name)
    end
  end
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  print(("held %d  refused %d  other %d  lost %d  %.0f/s  p99 %.2f ms"):format(
    sum.held, sum.refused, sum.other, lost, summary.requests / (summary.duration / 1e6), latency:percentile(99) / 1e3))
  local units = tonumber(os.getenv("UNITS") or "")
  if units and sum.held > units then
    print(("OVERSOLD: %d of %d units were given out"):format(sum.held, units))
    os.exit(1)
  end
  if sum.other > 0 or summary.requests == 0 then
    os.exit(1)
  end
end
