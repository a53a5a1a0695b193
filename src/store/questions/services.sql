-- The services of a window, with counts and durations. Every stored row counts here; where `spans`
-- differs from `rows`, spans were resent, and services_once.sql is asked instead.
SELECT
    ServiceName AS name,
    count() AS rows,
    uniqExact(cityHash64(TraceId, SpanId, SpanKind, Timestamp, Duration)) AS spans,
    countIf(StatusCode = 'Error') AS errors,
    arrayMap(q -> toUInt64(q), quantilesTDigest(0.5, 0.95, 0.99)(Duration)) AS quantiles_ns,
    toUnixTimestamp64Nano(min(Timestamp)) AS first_ns,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
GROUP BY name
ORDER BY name
