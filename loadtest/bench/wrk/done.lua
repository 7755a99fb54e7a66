-- Prints the line that the benchmark reads.
function done(summary, latency)
  local e = summary.errors
  print(('requests=%d us=%d errors=%d refused=%d p50=%.0f p99=%.0f'):format(summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout, e.status, latency:percentile(50), latency:percentile(99)))
end
