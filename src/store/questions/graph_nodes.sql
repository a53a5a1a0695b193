-- The nodes of a window of whole minutes, merged by slots of `width` seconds.
SELECT
    intDiv(toInt64(toUnixTimestamp(Minute)), {width:Int64}) AS slot,
    `Nodes.Kind` AS kind,
    `Nodes.Name` AS name,
    sum(`Nodes.Requests`) AS requests,
    sum(`Nodes.Errors`) AS errors,
    sumMap(`Nodes.Buckets`, `Nodes.Counts`) AS latency,
    sumMap(CAST(`Nodes.Reasons`, 'Array(String)'), `Nodes.Unpaired`) AS unpaired
FROM graph_minutes FINAL
ARRAY JOIN Nodes
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime({from:Int64})
    AND Minute < toDateTime({to:Int64})
GROUP BY slot, kind, name
ORDER BY slot, kind, name
