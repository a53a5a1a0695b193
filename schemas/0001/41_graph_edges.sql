-- The edges of every minute, flat, for people and dashboards.
CREATE VIEW IF NOT EXISTS {database}.graph_edges AS
SELECT
    Tenant,
    Minute,
    Generation,
    `Edges.SourceKind` AS SourceKind,
    `Edges.Source` AS Source,
    `Edges.TargetKind` AS TargetKind,
    `Edges.Target` AS Target,
    `Edges.ConnectionType` AS ConnectionType,
    `Edges.Calls` AS Calls,
    `Edges.Spans` AS Spans,
    `Edges.Errors` AS Errors,
    `Edges.Buckets` AS Buckets,
    `Edges.Counts` AS Counts
FROM {database}.graph_minutes FINAL
ARRAY JOIN Edges
