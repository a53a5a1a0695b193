-- The parts of a table: the feed of what is new. `ordered`: a block is seen as soon as any later
-- one of its table is, because numbers are given out while parts are made visible.
SELECT
    partition_id AS partition,
    name,
    min_block_number AS first,
    max_block_number AS last,
    rows
FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND active
ORDER BY last, name
