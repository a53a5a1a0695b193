-- The pattern keys of the logs in given parts, service by service.
SELECT
    Tenant AS tenant,
    ServiceName AS service,
    PatternKey AS key,
    count() AS logs,
    toUnixTimestamp64Nano(min(Timestamp)) AS first_ns,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM otel_logs
WHERE _part IN {parts:Array(String)} AND PatternKey != 0
GROUP BY tenant, service, key
ORDER BY tenant, service, key
