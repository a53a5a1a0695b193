-- Log records of a trace per span and service.
SELECT
    SpanId AS span_id,
    toString(ServiceName) AS service,
    count() AS logs,
    toUnixTimestamp64Nano(min(Timestamp)) AS first_ns,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM otel_logs
WHERE Tenant = {tenant:String}
    AND TraceId IN {ids:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
GROUP BY span_id, service
