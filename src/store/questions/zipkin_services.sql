-- The services that recorded spans.
SELECT DISTINCT lowerUTF8(toString(service)) AS name
FROM
(
    SELECT ServiceName AS service
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        --[held]
    GROUP BY service
)
ORDER BY name
LIMIT {limit:UInt64}
