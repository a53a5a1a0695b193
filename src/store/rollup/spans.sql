-- Spans of a window as the graph needs them: all of it, one of several parts that keep traces whole, or given ones.
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    ServiceName AS service,
    SpanKind AS kind,
    StatusCode = 'Error' AS error,
    bitAnd(Marks, {shared:UInt32}) != 0 AS shared,
    Flags AS flags,
    toUnixTimestamp64Nano(Timestamp) AS start_ns,
    Duration AS duration_ns,
    if(Weight > 0, Weight, 1) AS weight,
    Peer AS peer,
    DbSystem AS db_system,
    DbNamespace AS db_namespace,
    MessagingSystem AS messaging_system,
    MessagingDestination AS destination,
    `Links.TraceId` AS link_trace_ids,
    `Links.SpanId` AS link_span_ids
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    --[which]
LIMIT {limit:UInt64}
