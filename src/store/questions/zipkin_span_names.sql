-- The names of a service's spans.
SELECT DISTINCT toString(lowerUTF8(SpanName)) AS name
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND lowerUTF8(ServiceName) = {service:String}
    AND SpanName != ''
ORDER BY name
LIMIT {limit:UInt64}
