-- Which pattern a log's key belongs to, and one log that has the key. A row is replaced when its pattern
-- takes in more keys; rows of newer generations count. Key 18446744073709551615 stands for all keys of a
-- service that it has too many of to tell apart. Written by the keeper of patterns from the stored logs.
CREATE TABLE IF NOT EXISTS {database}.log_patterns
(
    `Tenant` LowCardinality(String) CODEC(ZSTD(1)),
    `Service` LowCardinality(String) CODEC(ZSTD(1)),
    `PatternKey` UInt64 CODEC(ZSTD(1)),
    `PatternId` UInt64 CODEC(ZSTD(1)),
    `Template` String CODEC(ZSTD(1)),
    `EventName` String CODEC(ZSTD(1)),
    `SeverityNumber` UInt8 CODEC(ZSTD(1)),
    `CodeFile` String CODEC(ZSTD(1)),
    `CodeLine` String CODEC(ZSTD(1)),
    `CodeFunction` String CODEC(ZSTD(1)),
    `Example` String CODEC(ZSTD(1)),
    `KeyRule` UInt16 CODEC(ZSTD(1)),
    `Rule` UInt16 CODEC(ZSTD(1)),
    `FirstSeen` DateTime64(9) CODEC(ZSTD(1)),
    `LastSeen` DateTime64(9) CODEC(ZSTD(1)),
    `WrittenAt` DateTime64(9) CODEC(ZSTD(1)),
    `Generation` UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(Generation)
ORDER BY (Tenant, Service, PatternKey)
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = 10485760
