-- The nodes of every minute, flat, for people and dashboards.
CREATE VIEW IF NOT EXISTS {database}.graph_nodes AS
SELECT
    Tenant,
    Minute,
    Generation,
    `Nodes.Kind` AS Kind,
    `Nodes.Name` AS Name,
    `Nodes.Requests` AS Requests,
    `Nodes.Errors` AS Errors,
    `Nodes.Buckets` AS Buckets,
    `Nodes.Counts` AS Counts,
    `Nodes.Reasons` AS Reasons,
    `Nodes.Unpaired` AS Unpaired
FROM {database}.graph_minutes FINAL
ARRAY JOIN Nodes
