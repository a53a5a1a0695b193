-- The spans of a trace, narrow: what the tree, the critical path and the waterfall need.
SELECT
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    ServiceName AS service,
    SpanName AS name,
    SpanKind AS kind,
    StatusCode AS status,
    toUnixTimestamp64Nano(Timestamp) AS start_ns,
    Duration AS duration_ns,
    Marks AS marks,
    toBool(DroppedAttributesCount + DroppedEventsCount + DroppedLinksCount > 0) AS dropped,
    toBool(startsWith(TraceId, '0000000000000000')) AS padded_id
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND TraceId IN {ids:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
ORDER BY Timestamp, SpanId, SpanKind, ServiceName, Duration
LIMIT {limit:UInt64}
