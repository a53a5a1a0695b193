-- Log lines by pattern key, counted in slots of so many seconds.
SELECT
    Tenant AS tenant,
    intDiv(toUnixTimestamp64Nano(Timestamp), {slot:Int64} * 1000000000) * {slot:Int64} AS slot_s,
    ServiceName AS service,
    PatternKey AS pattern,
    SeverityNumber AS severity,
    count() AS lines
FROM otel_logs
WHERE Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND PatternKey != 0
GROUP BY tenant, slot_s, service, pattern, severity
ORDER BY slot_s
LIMIT {limit:UInt64}
