-- The same where there are several ways to match: each is read with the columns and indexes that serve it.
SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM
(
    --[each way]
    SELECT TraceId, Timestamp
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        --[way]
    --[end way]
)
GROUP BY trace_id
HAVING last_ns >= {key_from:Int64}
    AND (last_ns, trace_id) < ({before_ns:Int64}, {before_id:String})
ORDER BY last_ns DESC, trace_id DESC
LIMIT {limit:UInt64}
