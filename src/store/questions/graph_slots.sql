-- Which generations the slots of a window have: the same digest, the same graph. Digests add up.
SELECT
    intDiv(toInt64(toUnixTimestamp(Minute)), {width:Int64}) AS slot,
    count() AS minutes,
    sum(cityHash64(Minute, Generation)) AS digest,
    toInt64(toUnixTimestamp(min(Minute))) AS first_s,
    toInt64(toUnixTimestamp(max(Minute))) AS last_s,
    toUnixTimestamp64Nano(max(RolledAt)) AS rolled_ns
FROM graph_minutes
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime({from:Int64})
    AND Minute < toDateTime({to:Int64})
GROUP BY slot
ORDER BY slot
