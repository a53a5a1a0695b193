-- Who rolls: the highest epoch, in it the lowest owner, until it expires.
CREATE TABLE IF NOT EXISTS {database}.graph_lease
(
    `Epoch` UInt64,
    `Owner` UInt64,
    `Expires` DateTime64(3)
)
ENGINE = ReplacingMergeTree(Expires)
ORDER BY (Epoch, Owner)
TTL toDateTime(Expires) + INTERVAL 1 DAY
