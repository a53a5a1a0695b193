-- The newest traces with a span in a window that can match, by their earliest such span in it; those
-- that have one before `key_from` are left to the slice it lies in.
SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(min(Timestamp)) AS key_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    --[seen]
    --[way]
GROUP BY trace_id
HAVING key_ns >= {key_from:Int64}
    AND (key_ns, trace_id) < ({before_ns:Int64}, {before_id:String})
ORDER BY key_ns DESC, trace_id DESC
LIMIT {limit:UInt64}
