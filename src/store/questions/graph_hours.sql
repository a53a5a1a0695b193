-- Which generations the hours of a window have: the same digest, the same graph.
SELECT
    toInt64(intDiv(toUnixTimestamp(Minute), 3600)) AS hour,
    count() AS minutes,
    sum(cityHash64(Minute, Generation)) AS digest,
    toInt64(toUnixTimestamp(min(Minute))) AS first_s,
    toInt64(toUnixTimestamp(max(Minute))) AS last_s,
    toUnixTimestamp64Nano(max(RolledAt)) AS rolled_ns
FROM graph_minutes
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime({from:Int64})
    AND Minute < toDateTime({to:Int64})
GROUP BY hour
ORDER BY hour
