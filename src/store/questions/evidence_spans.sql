-- Spans of a window as fault localization needs them.
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    toString(ServiceName) AS service,
    toString(SpanName) AS operation,
    toString(SpanKind) AS kind,
    StatusCode = 'Error' AS error,
    bitAnd(Marks, {shared:UInt32}) != 0 AS shared,
    HttpStatusCode AS http_status,
    toUnixTimestamp64Nano(Timestamp) AS start_ns,
    Duration AS duration_ns,
    if(Weight > 0, Weight, 1) AS weight,
    toString(ServiceVersion) AS version,
    toString(ServiceInstance) AS instance,
    StatusMessage AS message,
    toString(Peer) AS peer,
    toString(DbSystem) AS db_system,
    toString(DbNamespace) AS db_namespace,
    toString(MessagingDestination) AS destination,
    CAST(mapFilter((key, value) -> has({resource_keys:Array(String)}, key), ResourceAttributes), 'Array(Tuple(String, String))') AS resource_attributes,
    arrayFilter(pair -> length(pair.2) BETWEEN 1 AND 40, CAST(SpanAttributes, 'Array(Tuple(String, String))')) AS span_attributes,
    arrayMap(t -> toUnixTimestamp64Nano(t), arrayFilter((t, name) -> name = 'exception', Events.Timestamp, Events.Name)) AS exception_times_ns,
    arrayMap(map -> map['exception.type'], arrayFilter((map, name) -> name = 'exception', Events.Attributes, Events.Name)) AS exception_types,
    arrayMap(map -> map['exception.message'], arrayFilter((map, name) -> name = 'exception', Events.Attributes, Events.Name)) AS exception_messages,
    Links.TraceId AS link_trace_ids,
    Links.SpanId AS link_span_ids
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    --[traces]
