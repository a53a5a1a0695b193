-- Spans of given traces with everything that their Zipkin form carries.
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    ServiceName AS service,
    SpanName AS name,
    SpanKind AS kind,
    StatusCode AS status,
    StatusMessage AS status_message,
    toUnixTimestamp64Nano(Timestamp) AS start_ns,
    Duration AS duration_ns,
    Marks AS marks,
    OriginalTimestamp AS original_start_ns,
    OriginalEndTimestamp AS original_end_ns,
    SpanAttributes AS attributes,
    SpanAttributeTypes AS attribute_types,
    DroppedAttributesCount AS dropped_attributes,
    DroppedEventsCount AS dropped_events,
    DroppedLinksCount AS dropped_links,
    arrayMap(t -> toUnixTimestamp64Nano(t), Events.Timestamp) AS event_times_ns,
    Events.Name AS event_names,
    Events.Attributes AS event_attributes,
    Events.AttributeTypes AS event_attribute_types,
    ScopeName AS scope_name,
    ScopeVersion AS scope_version,
    LocalEndpoint AS local_endpoint,
    RemoteEndpoint AS remote_endpoint
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND TraceId IN {ids:Array(String)}
    --[held]
LIMIT {limit:UInt64}
