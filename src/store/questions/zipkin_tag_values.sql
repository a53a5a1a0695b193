-- The values of a tag.
SELECT SpanAttributes[{key:String}] AS name
FROM otel_traces
WHERE Tenant = {tenant:String}
    --[held]
    AND mapContains(SpanAttributes, {key:String})
GROUP BY name
ORDER BY name
LIMIT {limit:UInt64}
