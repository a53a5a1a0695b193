-- The nodes of a window of whole minutes, merged by hour.
SELECT
    toInt64(intDiv(toUnixTimestamp(Minute), 3600)) AS hour,
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
GROUP BY hour, kind, name
ORDER BY hour, kind, name
