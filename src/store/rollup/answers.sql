-- The answers of other minutes that name given minutes: their spans that have a callee elsewhere.
SELECT
    toInt64(intDiv(toUnixTimestamp(Minute), 60)) AS source,
    toInt64(intDiv(toUnixTimestamp(at), 60)) AS target,
    low,
    id
FROM graph_minutes FINAL
ARRAY JOIN `Answers.Minute` AS at, `Answers.TraceLow` AS low, `Answers.SpanId` AS id
WHERE Tenant = {tenant:String}
    AND Minute IN
    (
        SELECT DISTINCT Minute
        FROM graph_minutes
        WHERE Tenant = {tenant:String}
            AND hasAny(`Answers.Minute`, arrayMap(minute -> toDateTime(minute * 60), {minutes:Array(Int64)}))
    )
    AND target IN {minutes:Array(Int64)}
    AND at != Minute
