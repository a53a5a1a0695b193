-- Which blocks of the span table are rolled up, by table and partition.
CREATE TABLE IF NOT EXISTS {database}.graph_progress
(
    `TableId` String,
    `Partition` String,
    `First` Array(Int64),
    `Last` Array(Int64),
    `Generation` UInt64
)
ENGINE = ReplacingMergeTree(Generation)
ORDER BY (TableId, Partition)
