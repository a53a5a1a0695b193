-- How many spans a trace has, each counted once; asked when there are more than are shown.
SELECT uniqExact(SpanId, ServiceName, SpanKind, Timestamp, Duration) AS spans
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND TraceId IN {ids:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
