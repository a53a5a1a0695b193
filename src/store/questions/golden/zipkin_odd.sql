SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND bitAnd(Marks, {odd:UInt32}) != 0
    AND (
        Timestamp < fromUnixTimestamp64Nano({from:Int64})
        OR Timestamp >= fromUnixTimestamp64Nano({to:Int64})
    )
    AND ((lowerUTF8(SpanName) = {p0:String}))
GROUP BY trace_id
ORDER BY last_ns DESC, trace_id DESC
LIMIT {limit:UInt64}

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- odd = U64(3)
-- limit = U64(9)
-- p0 = Text("x")
