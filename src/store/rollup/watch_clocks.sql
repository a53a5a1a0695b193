-- How many of the calls that services took have clocks that disagree, by rolled-up minutes.
SELECT
    Tenant AS tenant,
    toInt64(toUnixTimestamp(Minute)) AS slot_s,
    `Nodes.Name` AS service,
    `Nodes.Requests` AS requests,
    toFloat64(arraySum((reason, spans) -> if(reason = 'clock_skew', spans, 0), `Nodes.Reasons`, `Nodes.Unpaired`)) AS skewed
FROM graph_minutes FINAL
ARRAY JOIN Nodes
WHERE Minute >= toDateTime(intDiv({from:Int64}, 1000000000))
    AND Minute < toDateTime(intDiv({to:Int64}, 1000000000))
    AND `Nodes.Kind` = 'service'
    AND `Nodes.Requests` > 0
ORDER BY slot_s
LIMIT {limit:UInt64}
