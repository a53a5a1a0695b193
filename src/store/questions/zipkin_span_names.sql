-- The names of a service's spans.
SELECT DISTINCT lowerUTF8(toString(span)) AS name
FROM
(
    SELECT SpanName AS span
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        --[held]
        AND lowerUTF8(ServiceName) = {service:String}
    GROUP BY span
)
ORDER BY name
LIMIT {limit:UInt64}
