-- Traces with spans that can match and stand elsewhere than where they say: without a time of their
-- own, or with a nonsense one, they stand where they were received, outside of the window.
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
    --[any]
GROUP BY trace_id
ORDER BY last_ns DESC, trace_id DESC
LIMIT {limit:UInt64}
