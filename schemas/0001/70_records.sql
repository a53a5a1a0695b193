-- What is decided and said about faults, one row a thing: incidents, rules and silences, notices and how far their
-- delivery has come, what people say of suspects. The newest generation of a thing counts; the body is JSON.
CREATE TABLE IF NOT EXISTS {database}.records
(
    `Tenant` LowCardinality(String) CODEC(ZSTD(1)),
    `Kind` LowCardinality(String) CODEC(ZSTD(1)),
    `Id` String CODEC(ZSTD(1)),
    `At` DateTime64(9) CODEC(ZSTD(1)),
    `Deleted` Bool CODEC(ZSTD(1)),
    `Body` String CODEC(ZSTD(1)),
    `Generation` UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(Generation)
ORDER BY (Tenant, Kind, Id)
SETTINGS index_granularity = 256, min_bytes_for_wide_part = 10485760
