-- Log records of given traces.
SELECT
    TraceId AS trace_id,
    count() AS logs
FROM otel_logs
WHERE Tenant = {tenant:String}
    AND TraceId IN {ids:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
GROUP BY trace_id
