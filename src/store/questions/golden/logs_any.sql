SELECT toUnixTimestamp64Nano(Timestamp) AS time_ns
FROM otel_logs
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
ORDER BY Timestamp DESC
LIMIT {limit:UInt64}

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- limit = U64(101)

SELECT
    toUnixTimestamp64Nano(Timestamp) AS time_ns,
    TraceId AS trace_id,
    SpanId AS span_id,
    toString(ServiceName) AS service,
    toString(SeverityText) AS severity_text,
    SeverityNumber AS severity_number,
    Body AS body,
    toString(BodyType) AS body_type,
    EventName AS event_name,
    LogAttributes AS attributes,
    toString(LogAttributeTypes) AS attribute_types,
    DroppedAttributesCount AS dropped_attributes,
    Flags AS flags,
    Marks AS marks,
    ObservedTimestamp AS observed_ns,
    OriginalTimestamp AS original_ns,
    ResourceAttributes AS resource_attributes,
    toString(ResourceAttributeTypes) AS resource_attribute_types,
    toString(ResourceSchemaUrl) AS resource_schema_url,
    ResourceDroppedAttributesCount AS resource_dropped,
    EntityRefs AS entity_refs,
    ScopeName AS scope_name,
    toString(ScopeVersion) AS scope_version,
    ScopeAttributes AS scope_attributes,
    toString(ScopeAttributeTypes) AS scope_attribute_types,
    toString(ScopeSchemaUrl) AS scope_schema_url,
    ScopeDroppedAttributesCount AS scope_dropped,
    toString(JoinKind) AS join_kind,
    toString(JoinSource) AS join_source,
    PatternKey AS pattern_key,
    OriginalFields AS original_fields
FROM otel_logs
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
ORDER BY Timestamp DESC, ObservedTimestamp DESC, BatchId DESC, _part_offset DESC
LIMIT {limit:UInt64} OFFSET {skip:UInt64}

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- limit = U64(101)
