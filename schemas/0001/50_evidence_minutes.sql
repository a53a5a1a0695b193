-- The evidence of one (tenant, minute): what its traces tell fault localization, packed (store::evidence), one row
-- a generation, the newest replaces the older ones. `Spans`: of the minute when it was made.
CREATE TABLE IF NOT EXISTS {database}.evidence_minutes
(
    `Tenant` LowCardinality(String) CODEC(ZSTD(1)),
    `Minute` DateTime CODEC(Delta(4), ZSTD(1)),
    `Generation` UInt64 CODEC(ZSTD(1)),
    `Rule` UInt16 CODEC(ZSTD(1)),
    `Spans` UInt64 CODEC(ZSTD(1)),
    `RolledAt` DateTime64(9) CODEC(ZSTD(1)),
    `Evidence` String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(Generation)
PARTITION BY toMonday(Minute, 'UTC')
ORDER BY (Tenant, Minute)
SETTINGS index_granularity = 64, min_bytes_for_wide_part = 10485760
