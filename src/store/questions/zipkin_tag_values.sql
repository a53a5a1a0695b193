-- The values of a tag.
SELECT DISTINCT SpanAttributes[{key:String}] AS name
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND mapContains(SpanAttributes, {key:String})
ORDER BY name
LIMIT {limit:UInt64}
