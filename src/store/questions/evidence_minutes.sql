-- How the minutes of a window were: enough to tell usual ones from others.
SELECT
    intDiv(toUnixTimestamp64Nano(Timestamp), 60000000000) AS minute,
    count() AS spans,
    countIf(StatusCode = 'Error' OR HttpStatusCode >= 500) AS errors,
    toUInt64(ifNotFinite(quantileTDigestIf(0.9)(Duration, ParentSpanId = ''), 0)) AS slow_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
GROUP BY minute
ORDER BY minute
