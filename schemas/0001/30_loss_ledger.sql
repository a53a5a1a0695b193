-- Every item that was refused, cut or set aside, by sender and reason.
CREATE TABLE IF NOT EXISTS {database}.loss_ledger
(
    `Timestamp` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `Sender` LowCardinality(String) CODEC(ZSTD(1)),
    `Signal` LowCardinality(String) CODEC(ZSTD(1)),
    `Reason` LowCardinality(String) CODEC(ZSTD(1)),
    `Outcome` LowCardinality(String) CODEC(ZSTD(1)),
    `Items` UInt64 CODEC(ZSTD(1)),
    `Example` String CODEC(ZSTD(1)),
    `Tenant` LowCardinality(String) CODEC(ZSTD(1)),
    `RetentionClass` LowCardinality(String) CODEC(ZSTD(1)),
    `ReceivedAt` DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    `BatchId` UInt128 CODEC(ZSTD(1)),
    `RowVersion` UInt8 CODEC(ZSTD(1)),
    INDEX idx_batch BatchId TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY (RetentionClass, toDate(Timestamp, 'UTC'))
ORDER BY (Tenant, toStartOfFiveMinutes(Timestamp), Signal, Reason)
SETTINGS
    index_granularity = 8192,
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    materialize_ttl_recalculate_only = 1,
    min_bytes_for_wide_part = 104857600
