-- Traces with spans in a window that can match, by the latest such span; `each` says what they need one of.
SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    --[way]
GROUP BY trace_id
HAVING last_ns >= {key_from:Int64}
    AND (last_ns, trace_id) < ({before_ns:Int64}, {before_id:String})
    --[each]
ORDER BY last_ns DESC, trace_id DESC
LIMIT {limit:UInt64}
