-- The minutes that refer to a span of given parts, and to which traces. Rows of replaced generations do no harm: a minute is
-- looked at again in vain.
SELECT Tenant AS tenant, toInt64(intDiv(toUnixTimestamp(Minute), 60)) AS minute, groupUniqArray(low) AS lows
FROM graph_minutes
ARRAY JOIN `Wanted.TraceLow` AS low, `Wanted.SpanId` AS id
WHERE (Tenant, low, id) IN
(
    SELECT
        Tenant,
        reinterpretAsUInt64(reverse(unhex(substring(TraceId, 17, 16)))),
        reinterpretAsUInt64(reverse(unhex(SpanId)))
    FROM otel_traces
    WHERE _part IN {parts:Array(String)}
)
GROUP BY tenant, minute
ORDER BY tenant, minute
