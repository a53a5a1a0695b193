-- The minutes that given parts have spans of.
SELECT Tenant AS tenant, intDiv(toUnixTimestamp64Nano(Timestamp), 60000000000) AS minute, count() AS spans
FROM otel_traces
WHERE _part IN {parts:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano(0) AND Timestamp < fromUnixTimestamp64Nano(4294960000000000000)
GROUP BY tenant, minute
ORDER BY tenant, minute
