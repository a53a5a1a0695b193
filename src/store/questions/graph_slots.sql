-- Which generations the slots of a window have: the same digest, the same graph. Digests add up. The slots at
-- its ends are looked at whole.
WITH Minute >= toDateTime({from:Int64}) AND Minute < toDateTime({to:Int64}) AS asked
SELECT
    intDiv(toInt64(toUnixTimestamp(Minute)), {width:Int64}) AS slot,
    sumIf(cityHash64(Minute, Generation), asked) AS digest,
    sum(cityHash64(Minute, Generation)) AS around,
    sum(length(`Edges.Calls`)) AS edges,
    toInt64(toUnixTimestamp(minIf(Minute, asked))) AS first_s,
    toInt64(toUnixTimestamp(maxIf(Minute, asked))) AS last_s,
    toUnixTimestamp64Nano(maxIf(RolledAt, asked)) AS rolled_ns
FROM graph_minutes FINAL
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime(intDiv({from:Int64}, {width:Int64}) * {width:Int64})
    AND Minute < toDateTime(least(intDiv({to:Int64} + {width:Int64} - 1, {width:Int64}) * {width:Int64}, 4294967295))
GROUP BY slot
HAVING countIf(asked) > 0
ORDER BY slot
