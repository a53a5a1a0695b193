-- The services that recorded spans.
SELECT DISTINCT toString(lowerUTF8(ServiceName)) AS name
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND ServiceName != ''
ORDER BY name
LIMIT {limit:UInt64}
