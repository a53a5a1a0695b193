-- The nodes of a window of whole minutes, merged; reasons apart for the minutes from `young` on.
SELECT
    `Nodes.Kind` AS kind,
    `Nodes.Name` AS name,
    sum(`Nodes.Requests`) AS requests,
    sum(`Nodes.Errors`) AS errors,
    sumMap(`Nodes.Buckets`, `Nodes.Counts`) AS latency,
    sumMapIf(CAST(`Nodes.Reasons`, 'Array(String)'), `Nodes.Unpaired`, Minute < toDateTime({young:Int64})) AS old,
    sumMapIf(CAST(`Nodes.Reasons`, 'Array(String)'), `Nodes.Unpaired`, Minute >= toDateTime({young:Int64})) AS new
FROM graph_minutes FINAL
ARRAY JOIN Nodes
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime({from:Int64})
    AND Minute < toDateTime({to:Int64})
GROUP BY kind, name
ORDER BY kind, name
