-- How many spans the newest minutes of a window have, as far as they are rolled up.
SELECT toInt64(toUnixTimestamp(Minute)) AS minute_s, Spans AS spans
FROM graph_minutes FINAL
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime(intDiv({from:Int64}, 1000000000))
    AND Minute < toDateTime(intDiv({to:Int64}, 1000000000))
ORDER BY Minute DESC
LIMIT 120
