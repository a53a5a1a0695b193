SELECT toUnixTimestamp64Nano(Timestamp) AS time_ns
FROM otel_logs
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND (ReceivedAt <= fromUnixTimestamp64Nano({s0:Int64}))
    AND (TraceId IN {p0:Array(String)})
    AND (SpanId = {p1:String})
    AND (ServiceName = {p2:String})
    AND (toUInt8(if(SeverityNumber > 0, SeverityNumber, transform(lower(SeverityText), ['trace', 'verbose', 'debug', 'fine', 'info', 'information', 'informational', 'notice', 'warn', 'warning', 'error', 'err', 'severe', 'crit', 'critical', 'alert', 'emerg', 'fatal', 'panic'], [1, 1, 5, 5, 9, 9, 9, 10, 13, 13, 17, 17, 17, 18, 21, 21, 24, 21, 24], 0))) >= {p3:UInt8})
    AND (PatternKey = {p4:UInt64})
    AND (hasAllTokens(lower(Body), {p5:Array(String)}))
    AND (hasAllTokens(lower(Body), {p6:Array(String)}))
    AND (positionCaseInsensitiveUTF8(Body, {p7:String}) > 0)
    AND (hasAllTokens(lower(Body), {p8:Array(String)}))
    AND (positionCaseInsensitiveUTF8(Body, {p9:String}) > 0)
    AND (arrayExists((k, v) -> k = {p10:String} AND v = {p11:String}, mapKeys(LogAttributes), mapValues(LogAttributes)) OR arrayExists((k, v) -> k = {p10:String} AND v = {p11:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)) OR arrayExists((k, v) -> k = {p10:String} AND v = {p11:String}, mapKeys(ScopeAttributes), mapValues(ScopeAttributes)))
    AND (arrayExists((k, v) -> k = {p12:String} AND v = {p13:String}, mapKeys(LogAttributes), mapValues(LogAttributes)) OR arrayExists((k, v) -> k = {p12:String} AND v = {p13:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)) OR arrayExists((k, v) -> k = {p12:String} AND v = {p13:String}, mapKeys(ScopeAttributes), mapValues(ScopeAttributes)))
    AND (mapContains(LogAttributes, {p14:String}) OR mapContains(ResourceAttributes, {p14:String}) OR mapContains(ScopeAttributes, {p14:String}))
    AND (EventName = {p15:String})
    AND (NOT ((hasAllTokens(lower(Body), {p16:Array(String)})) AND (positionCaseInsensitiveUTF8(Body, {p17:String}) > 0)))
    AND (NOT ((TraceId = {p18:String})))
ORDER BY Timestamp ASC
LIMIT {limit:UInt64}

-- tenant = Text("acme")
-- from = I64(1500)
-- to = I64(2000)
-- limit = U64(101)
-- s0 = I64(3000)
-- p0 = Texts(["ab", "cd"])
-- p1 = Text("ef")
-- p2 = Text("front")
-- p3 = U64(17)
-- p4 = U64(7)
-- p5 = Texts(["timeout"])
-- p6 = Texts(["4711", "order"])
-- p7 = Text("order-4711")
-- p8 = Texts(["s"])
-- p9 = Text("it's %_\\ broken")
-- p10 = Text("user")
-- p11 = Text("O'Brien")
-- p12 = Text("empty")
-- p13 = Text("")
-- p14 = Text("key")
-- p15 = Text("e")
-- p16 = Texts(["later", "retry"])
-- p17 = Text("retry later")
-- p18 = Text("99")

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
    AND (ReceivedAt <= fromUnixTimestamp64Nano({s0:Int64}))
    AND (TraceId IN {p0:Array(String)})
    AND (SpanId = {p1:String})
    AND (ServiceName = {p2:String})
    AND (toUInt8(if(SeverityNumber > 0, SeverityNumber, transform(lower(SeverityText), ['trace', 'verbose', 'debug', 'fine', 'info', 'information', 'informational', 'notice', 'warn', 'warning', 'error', 'err', 'severe', 'crit', 'critical', 'alert', 'emerg', 'fatal', 'panic'], [1, 1, 5, 5, 9, 9, 9, 10, 13, 13, 17, 17, 17, 18, 21, 21, 24, 21, 24], 0))) >= {p3:UInt8})
    AND (PatternKey = {p4:UInt64})
    AND (hasAllTokens(lower(Body), {p5:Array(String)}))
    AND (hasAllTokens(lower(Body), {p6:Array(String)}))
    AND (positionCaseInsensitiveUTF8(Body, {p7:String}) > 0)
    AND (hasAllTokens(lower(Body), {p8:Array(String)}))
    AND (positionCaseInsensitiveUTF8(Body, {p9:String}) > 0)
    AND (arrayExists((k, v) -> k = {p10:String} AND v = {p11:String}, mapKeys(LogAttributes), mapValues(LogAttributes)) OR arrayExists((k, v) -> k = {p10:String} AND v = {p11:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)) OR arrayExists((k, v) -> k = {p10:String} AND v = {p11:String}, mapKeys(ScopeAttributes), mapValues(ScopeAttributes)))
    AND (arrayExists((k, v) -> k = {p12:String} AND v = {p13:String}, mapKeys(LogAttributes), mapValues(LogAttributes)) OR arrayExists((k, v) -> k = {p12:String} AND v = {p13:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)) OR arrayExists((k, v) -> k = {p12:String} AND v = {p13:String}, mapKeys(ScopeAttributes), mapValues(ScopeAttributes)))
    AND (mapContains(LogAttributes, {p14:String}) OR mapContains(ResourceAttributes, {p14:String}) OR mapContains(ScopeAttributes, {p14:String}))
    AND (EventName = {p15:String})
    AND (NOT ((hasAllTokens(lower(Body), {p16:Array(String)})) AND (positionCaseInsensitiveUTF8(Body, {p17:String}) > 0)))
    AND (NOT ((TraceId = {p18:String})))
ORDER BY Timestamp ASC, ObservedTimestamp ASC, BatchId ASC, _part_offset ASC
LIMIT {limit:UInt64} OFFSET {skip:UInt64}

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- limit = U64(101)
-- s0 = I64(3000)
-- p0 = Texts(["ab", "cd"])
-- p1 = Text("ef")
-- p2 = Text("front")
-- p3 = U64(17)
-- p4 = U64(7)
-- p5 = Texts(["timeout"])
-- p6 = Texts(["4711", "order"])
-- p7 = Text("order-4711")
-- p8 = Texts(["s"])
-- p9 = Text("it's %_\\ broken")
-- p10 = Text("user")
-- p11 = Text("O'Brien")
-- p12 = Text("empty")
-- p13 = Text("")
-- p14 = Text("key")
-- p15 = Text("e")
-- p16 = Texts(["later", "retry"])
-- p17 = Text("retry later")
-- p18 = Text("99")
