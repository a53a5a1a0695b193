-- What is known of rolled minutes.
SELECT
    toInt64(intDiv(toUnixTimestamp(Minute), 60)) AS minute,
    Generation AS generation,
    Rule AS rule,
    Spans AS spans,
    Answered AS answered,
    arrayDistinct(arrayMap(at -> toInt64(intDiv(toUnixTimestamp(at), 60)), `Answers.Minute`)) AS targets
FROM graph_minutes FINAL
WHERE Tenant = {tenant:String} AND Minute IN (SELECT toDateTime(arrayJoin({minutes:Array(Int64)}) * 60))
ORDER BY minute
