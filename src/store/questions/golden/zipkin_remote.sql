SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM
(
    SELECT TraceId, Timestamp
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (lowerUTF8(ServiceName) = {p0:String})
        AND (lowerUTF8(Peer) = {p1:String})
    UNION ALL
    SELECT TraceId, Timestamp
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (lowerUTF8(ServiceName) = {q0:String})
        AND (bitAnd(Marks, {q1:UInt32}) = 0)
        AND (has(mapValues(SpanAttributes), {q2:String}))
)
GROUP BY trace_id
HAVING last_ns >= {key_from:Int64}
    AND (last_ns, trace_id) < ({before_ns:Int64}, {before_id:String})
ORDER BY last_ns DESC, trace_id DESC
LIMIT {limit:UInt64}

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- key_from = I64(1000)
-- before_ns = I64(1900)
-- before_id = Text("ab")
-- limit = U64(20)
-- p0 = Text("front'; DROP TABLE otel_traces --")
-- p1 = Text("db")
-- q0 = Text("front'; DROP TABLE otel_traces --")
-- q1 = U64(4096)
-- q2 = Text("db")
