-- Some traces of a window, as they come.
SELECT DISTINCT TraceId
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
LIMIT {limit:UInt64}
