-- The edges of a window of whole minutes, merged by slots of `width` seconds.
SELECT
    intDiv(toInt64(toUnixTimestamp(Minute)), {width:Int64}) AS slot,
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
GROUP BY slot, source_kind, source, target_kind, target, connection_type
ORDER BY slot, source_kind, source, target_kind, target, connection_type
