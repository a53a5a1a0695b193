SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND (lowerUTF8(ServiceName) = {p0:String})
    AND (TraceId IN (SELECT TraceId FROM otel_traces_trace_id_ts WHERE Tenant = {tenant:String} AND Start <= toDateTime({p1:Int64}) AND (End >= toDateTime({p1:Int64}) OR Start >= toDateTime({p2:Int64}))))
GROUP BY trace_id
HAVING last_ns >= {key_from:Int64}
    AND (last_ns, trace_id) < ({before_ns:Int64}, {before_id:String})
    --[each]
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
-- p1 = I64(90)
-- p2 = I64(30)
