-- The edges of a window of whole minutes, merged by hour.
SELECT
    toInt64(intDiv(toUnixTimestamp(Minute), 3600)) AS hour,
    `Edges.SourceKind` AS source_kind,
    `Edges.Source` AS source,
    `Edges.TargetKind` AS target_kind,
    `Edges.Target` AS target,
    `Edges.ConnectionType` AS connection_type,
    sum(`Edges.Calls`) AS requests,
    sum(`Edges.Errors`) AS errors,
    sum(`Edges.Spans`) AS spans,
    sumMap(`Edges.Buckets`, `Edges.Counts`) AS latency
FROM graph_minutes FINAL
ARRAY JOIN Edges
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime({from:Int64})
    AND Minute < toDateTime({to:Int64})
GROUP BY hour, source_kind, source, target_kind, target, connection_type
ORDER BY hour, source_kind, source, target_kind, target, connection_type
