-- References of minutes that were looked for in vain when they were rolled last.
SELECT toInt64(intDiv(toUnixTimestamp(Minute), 60)) AS minute, low, id
FROM graph_minutes FINAL
ARRAY JOIN `Wanted.TraceLow` AS low, `Wanted.SpanId` AS id, `Wanted.Reason` AS reason
WHERE Tenant = {tenant:String} AND Minute IN (SELECT toDateTime(arrayJoin({minutes:Array(Int64)}) * 60))
    AND Rule = {rule:UInt16} AND reason != {found:String}
