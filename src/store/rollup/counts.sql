-- How many spans minutes have.
SELECT intDiv(toUnixTimestamp64Nano(Timestamp), 60000000000) AS minute, count() AS spans
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
GROUP BY minute
ORDER BY minute
