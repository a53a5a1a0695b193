-- The services of a window when spans were resent: equal ones count once.
SELECT
    name,
    count() AS rows,
    count() AS spans,
    countIf(error) AS errors,
    arrayMap(q -> toUInt64(q), quantilesTDigest(0.5, 0.95, 0.99)(duration)) AS quantiles_ns,
    toUnixTimestamp64Nano(min(start)) AS first_ns,
    toUnixTimestamp64Nano(max(start)) AS last_ns
FROM
(
    SELECT
        any(ServiceName) AS name,
        any(Duration) AS duration,
        any(Timestamp) AS start,
        max(StatusCode = 'Error') AS error
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    GROUP BY cityHash64(TraceId, SpanId, ServiceName, SpanKind, Timestamp, Duration)
)
GROUP BY name
ORDER BY name
