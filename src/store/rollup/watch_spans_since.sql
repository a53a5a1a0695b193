-- From which minute on at most so many spans are stored, by rolled-up minutes.
SELECT toInt64(toUnixTimestamp(min(minute))) AS since_s
FROM
(
    SELECT Minute AS minute, sum(sum(Spans)) OVER (ORDER BY Minute DESC) AS spans
    FROM graph_minutes FINAL
    WHERE Minute >= toDateTime(intDiv({from:Int64}, 1000000000))
    GROUP BY Minute
)
WHERE spans <= {spans:UInt64}
