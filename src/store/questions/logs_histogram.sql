-- Matching log records per step of time and severity.
SELECT
    intDiv(toUnixTimestamp64Nano(Timestamp) - {origin:Int64}, {step:Int64}) AS step,
    --[severity]
    count() AS logs
FROM otel_logs
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    --[match]
GROUP BY step, severity
