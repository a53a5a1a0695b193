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
        AND (RowVersion > 0)
        AND (HttpStatusCode = {p1:UInt16})
    UNION ALL
    SELECT TraceId, Timestamp
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (lowerUTF8(ServiceName) = {q0:String})
        AND (RowVersion < 2)
        AND (has(mapValues(SpanAttributes), {q2:String}) AND SpanAttributes[{q1:String}] = {q2:String})
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
-- p1 = U64(500)
-- q0 = Text("front'; DROP TABLE otel_traces --")
-- q1 = Text("http.status_code")
-- q2 = Text("500")
