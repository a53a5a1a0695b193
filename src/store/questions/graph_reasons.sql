-- The reasons of a window's nodes alone: of its youngest minutes, whose lacks may be mere lateness.
SELECT
    `Nodes.Kind` AS kind,
    `Nodes.Name` AS name,
    sumMap(CAST(`Nodes.Reasons`, 'Array(String)'), `Nodes.Unpaired`) AS unpaired
FROM graph_minutes FINAL
ARRAY JOIN Nodes
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime({from:Int64})
    AND Minute < toDateTime({to:Int64})
GROUP BY kind, name
HAVING notEmpty(unpaired.1)
