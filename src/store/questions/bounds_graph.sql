-- Parts of the span table that have waited for the roller for longer than it takes as a rule. Answered
-- from the parts, without reading rows; therefore over all tenants.
SELECT count() AS waiting
FROM
(
    SELECT partition_id AS partition, max(max_block_number) AS last
    FROM system.parts
    WHERE database = currentDatabase() AND table = 'otel_traces' AND active AND modification_time < now() - 15
    GROUP BY partition
) AS parts
LEFT JOIN
(
    SELECT Partition AS partition, arrayMax(Last) AS done
    FROM graph_progress FINAL
    WHERE notEmpty(Last)
        AND TableId = (SELECT toString(uuid) FROM system.tables WHERE database = currentDatabase() AND name = 'otel_traces')
) AS progress USING (partition)
WHERE last > done
SETTINGS join_use_nulls = 0
