-- Which schema versions were applied, by which program.
CREATE TABLE IF NOT EXISTS {database}.schema_version
(
    `Version` UInt32,
    `AppliedAt` DateTime64(9) DEFAULT now64(9),
    `Program` String
)
ENGINE = MergeTree
ORDER BY Version
