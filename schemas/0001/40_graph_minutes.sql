-- The service graph of one (tenant, minute) as one row: a generation is there whole or not at all, and the
-- newest replaces the older ones. Written by the roller from the stored spans.
CREATE TABLE IF NOT EXISTS {database}.graph_minutes
(
    `Tenant` LowCardinality(String) CODEC(ZSTD(1)),
    `Minute` DateTime CODEC(Delta(4), ZSTD(1)),
    `Generation` UInt64 CODEC(ZSTD(1)),
    `Rule` UInt16 CODEC(ZSTD(1)),
    `Spans` UInt64 CODEC(ZSTD(1)),
    `Answered` UInt64 CODEC(ZSTD(1)),
    `RolledAt` DateTime64(9) CODEC(ZSTD(1)),
    `Writer` UInt64 CODEC(ZSTD(1)),
    `Nodes.Kind` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Nodes.Name` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Nodes.Requests` Array(Float64) CODEC(ZSTD(1)),
    `Nodes.Errors` Array(Float64) CODEC(ZSTD(1)),
    `Nodes.Buckets` Array(Array(Int16)) CODEC(ZSTD(1)),
    `Nodes.Counts` Array(Array(Float64)) CODEC(ZSTD(1)),
    `Nodes.Reasons` Array(Array(LowCardinality(String))) CODEC(ZSTD(1)),
    `Nodes.Unpaired` Array(Array(UInt64)) CODEC(ZSTD(1)),
    `Edges.SourceKind` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Edges.Source` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Edges.TargetKind` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Edges.Target` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Edges.ConnectionType` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Edges.Calls` Array(Float64) CODEC(ZSTD(1)),
    `Edges.Spans` Array(UInt64) CODEC(ZSTD(1)),
    `Edges.Errors` Array(Float64) CODEC(ZSTD(1)),
    `Edges.Buckets` Array(Array(Int16)) CODEC(ZSTD(1)),
    `Edges.Counts` Array(Array(Float64)) CODEC(ZSTD(1)),
    `Wanted.TraceLow` Array(UInt64) CODEC(ZSTD(1)),
    `Wanted.SpanId` Array(UInt64) CODEC(ZSTD(1)),
    `Wanted.Reason` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Answers.TraceLow` Array(UInt64) CODEC(ZSTD(1)),
    `Answers.SpanId` Array(UInt64) CODEC(ZSTD(1)),
    `Answers.Minute` Array(DateTime) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(Generation)
PARTITION BY toMonday(Minute, 'UTC')
ORDER BY (Tenant, Minute)
SETTINGS index_granularity = 512, min_bytes_for_wide_part = 10485760
