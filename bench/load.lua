-- wrk's script: posts questions in turn (BODIES names a file with one JSON body a line), or GETs without it.
-- The last line of the output is one JSON object: what was done and how long it took.
if os.getenv("BODIES") then
  local bodies, next = {}, 0
  for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  function request()
    next = next % #bodies + 1
    return wrk.format(nil, nil, nil, bodies[next])
  end
end
if os.getenv("TOKEN") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN") end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
