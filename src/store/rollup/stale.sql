-- Minutes whose evidence is missing or older than their spans: those that were rolled up a while ago, the newest first.
SELECT rolled.Tenant AS tenant, toInt64(intDiv(toUnixTimestamp(rolled.Minute), 60)) AS minute, rolled.Spans AS spans
FROM
(
    SELECT Tenant, Minute, Spans
    FROM graph_minutes FINAL
    WHERE Minute < now() - toIntervalSecond({after_s:UInt32}) AND Spans > 0
        AND RolledAt > now64(9) - toIntervalDay(1)
) AS rolled
LEFT ANTI JOIN
(
    SELECT Tenant, Minute, Spans FROM evidence_minutes FINAL WHERE Rule = {rule:UInt16}
) AS known ON rolled.Tenant = known.Tenant AND rolled.Minute = known.Minute AND rolled.Spans = known.Spans
ORDER BY minute DESC, tenant
LIMIT {limit:UInt64}
