-- Who calls whom, by rolled-up minutes.
SELECT DISTINCT Tenant AS tenant, `Edges.Source` AS source, `Edges.Target` AS target
FROM graph_minutes FINAL
ARRAY JOIN Edges
WHERE Minute >= toDateTime(intDiv({from:Int64}, 1000000000))
    AND Minute < toDateTime(intDiv({to:Int64}, 1000000000))
    AND `Edges.SourceKind` != 'user'
LIMIT {limit:UInt64}
