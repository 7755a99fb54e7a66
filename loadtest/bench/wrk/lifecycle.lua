-- hold, order, paid: each answer says what is asked next.
local json = { ["Content-Type"] = "application/json" }
local hold

function init()
  hold = wrk.format("POST", "/api/holds", json, '{"product_id":1,"quantity":1}')
  steps = {}
end

function request()
  return table.remove(steps) or hold
end

function response(_, _, body)
  local order = body:match('^{"id":"(order_[%w_-]+)"')
  local unit = not order and body:match('^{"id":"(hold_[%w_-]+)"')
  if order then
    local paid = '{"idempotency_key":"%s","payload":{"status":"paid","order_id":"%s"}}'
    table.insert(steps, wrk.format("POST", "/api/payments/webhook", json, paid:format(order, order)))
  elseif unit then
    table.insert(steps, wrk.format("POST", "/api/orders", json, ('{"hold_id":"%s"}'):format(unit)))
  end
end

-- What the benchmark reads of a run, in one line.
function done(summary, latency)
  local e = summary.errors
  print(('requests=%d us=%d errors=%d p50=%.0f p99=%.0f'):format(summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
