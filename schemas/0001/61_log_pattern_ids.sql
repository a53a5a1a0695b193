-- Every id that a pattern has had, and one of the keys that were its: the key's row in log_patterns says
-- what the pattern is now. Written before the id is used.
CREATE TABLE IF NOT EXISTS {database}.log_pattern_ids
(
    `Tenant` LowCardinality(String) CODEC(ZSTD(1)),
    `PatternId` UInt64 CODEC(ZSTD(1)),
    `Service` LowCardinality(String) CODEC(ZSTD(1)),
    `PatternKey` UInt64 CODEC(ZSTD(1)),
    `WrittenAt` DateTime64(9) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(WrittenAt)
ORDER BY (Tenant, PatternId)
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = 10485760
