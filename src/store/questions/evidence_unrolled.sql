-- Spans of minutes that are not rolled up yet.
SELECT
    intDiv(toUnixTimestamp64Nano(Timestamp), 60000000000) AS minute,
    count() AS spans,
    toUInt64(0) AS errors,
    toUInt64(0) AS slow_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
GROUP BY minute
ORDER BY minute
