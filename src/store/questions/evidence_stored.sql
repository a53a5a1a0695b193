-- The stored evidence of the minutes of a window.
SELECT toInt64(intDiv(toUnixTimestamp(Minute), 60)) AS minute, Spans AS spans, Evidence AS evidence
FROM evidence_minutes FINAL
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime(intDiv({from:Int64}, 1000000000))
    AND Minute < toDateTime(intDiv({to:Int64}, 1000000000))
