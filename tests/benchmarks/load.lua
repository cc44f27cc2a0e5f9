-- Nine of ten addresses from a pool that is known, the others from anywhere. The visitor's address
-- is what a proxy would say it is.
local known, page = 2000, "located"

function init(args)
  page = args[1]
  math.randomseed(tonumber(args[2]))
end

function request()
  local n = math.random(0, known - 1)
  local ip = string.format("20.0.%d.%d", math.floor(n / 256), n % 256)
  if page:find("located") and math.random() < 0.1 then
    ip = string.format("%d.%d.%d.%d", math.random(21, 99), math.random(0, 255), math.random(0, 255), math.random(1, 254))
  end
  return wrk.format("GET", "/" .. page .. "/", {["X-Forwarded-For"] = ip})
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %.1f %d %d %d %d\n", summary.requests * 1e6 / summary.duration,
    latency:percentile(50), latency:percentile(90), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
