-- Where in time a trace lies: one row per trace and insert, so readers aggregate.
CREATE TABLE IF NOT EXISTS {database}.otel_traces_trace_id_ts
(
    `TraceId` String CODEC(ZSTD(1)),
    `Start` DateTime CODEC(Delta(4), ZSTD(1)),
    `End` DateTime CODEC(Delta(4), ZSTD(1)),
    `Spans` UInt32 CODEC(ZSTD(1)),
    `Logs` UInt32 CODEC(ZSTD(1)),
    `Tenant` LowCardinality(String) CODEC(ZSTD(1)),
    `RetentionClass` LowCardinality(String) CODEC(ZSTD(1)),
    `ReceivedAt` DateTime64(9) CODEC(ZSTD(1)),
    `BatchId` UInt128 CODEC(ZSTD(1)),
    `RowVersion` UInt8 CODEC(ZSTD(1)),
    INDEX idx_batch BatchId TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY (RetentionClass, toMonday(Start, 'UTC'))
ORDER BY (Tenant, TraceId)
SETTINGS
    index_granularity = 512,
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    materialize_ttl_recalculate_only = 1,
    min_bytes_for_wide_part = 104857600
