-- wrk: POST with a body of so many bytes. wrk … -- SIZE KEY TARGET; prints one line of JSON at the end.
function init(arguments)
    local size = tonumber(arguments[1])
    local head = '{"model":"databricks-claude-opus-4-6","max_tokens":100,"stream":false,"messages":[{"role":"user","content":"'
    local tail = '"}]}'
    wrk.method = "POST"
    wrk.path = arguments[3]
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["Authorization"] = "Bearer " .. arguments[2]
    wrk.headers["anthropic-version"] = "2023-06-01"
    wrk.headers["User-Agent"] = "claude-cli/2.1.330 (external, cli)"
    wrk.body = head .. string.rep("x", math.max(0, size - #head - #tail)) .. tail
    request_text = wrk.format()
end

function request()
    return request_text
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f, "errors": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        e.connect + e.read + e.write + e.status + e.timeout))
end
