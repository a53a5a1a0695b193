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
    AND ((ServiceName = {p4:String} AND PatternKey IN (SELECT PatternKey FROM log_patterns FINAL WHERE Tenant = {tenant:String} AND Service = {p4:String} AND PatternId = {p5:UInt64})) OR (ServiceName = {p6:String} AND PatternKey != 0 AND PatternKey NOT IN (SELECT PatternKey FROM log_patterns WHERE Tenant = {tenant:String} AND Service = {p6:String})) OR (PatternKey = {p7:UInt64}))
    AND (hasAllTokens(lower(Body), {p8:Array(String)}))
    AND (hasAllTokens(lower(Body), {p9:Array(String)}))
    AND (positionCaseInsensitiveUTF8(Body, {p10:String}) > 0)
    AND (hasAllTokens(lower(Body), {p11:Array(String)}))
    AND (positionCaseInsensitiveUTF8(Body, {p12:String}) > 0)
    AND (arrayExists((k, v) -> k = {p13:String} AND v = {p14:String}, mapKeys(LogAttributes), mapValues(LogAttributes)) OR arrayExists((k, v) -> k = {p13:String} AND v = {p14:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)) OR arrayExists((k, v) -> k = {p13:String} AND v = {p14:String}, mapKeys(ScopeAttributes), mapValues(ScopeAttributes)))
    AND (arrayExists((k, v) -> k = {p15:String} AND v = {p16:String}, mapKeys(LogAttributes), mapValues(LogAttributes)) OR arrayExists((k, v) -> k = {p15:String} AND v = {p16:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)) OR arrayExists((k, v) -> k = {p15:String} AND v = {p16:String}, mapKeys(ScopeAttributes), mapValues(ScopeAttributes)))
    AND (mapContains(LogAttributes, {p17:String}) OR mapContains(ResourceAttributes, {p17:String}) OR mapContains(ScopeAttributes, {p17:String}))
    AND (EventName = {p18:String})
    AND (NOT ((hasAllTokens(lower(Body), {p19:Array(String)})) AND (positionCaseInsensitiveUTF8(Body, {p20:String}) > 0)))
    AND (NOT ((TraceId = {p21:String})))
    AND (NOT (((PatternKey = {p22:UInt64}))))
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
-- p4 = Text("it's")
-- p5 = U64(8)
-- p6 = Text("it's")
-- p7 = U64(7)
-- p8 = Texts(["timeout"])
-- p9 = Texts(["4711", "order"])
-- p10 = Text("order-4711")
-- p11 = Texts(["s"])
-- p12 = Text("it's %_\\ broken")
-- p13 = Text("user")
-- p14 = Text("O'Brien")
-- p15 = Text("empty")
-- p16 = Text("")
-- p17 = Text("key")
-- p18 = Text("e")
-- p19 = Texts(["later", "retry"])
-- p20 = Text("retry later")
-- p21 = Text("99")
-- p22 = U64(11)

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
    AND ((ServiceName = {p4:String} AND PatternKey IN (SELECT PatternKey FROM log_patterns FINAL WHERE Tenant = {tenant:String} AND Service = {p4:String} AND PatternId = {p5:UInt64})) OR (ServiceName = {p6:String} AND PatternKey != 0 AND PatternKey NOT IN (SELECT PatternKey FROM log_patterns WHERE Tenant = {tenant:String} AND Service = {p6:String})) OR (PatternKey = {p7:UInt64}))
    AND (hasAllTokens(lower(Body), {p8:Array(String)}))
    AND (hasAllTokens(lower(Body), {p9:Array(String)}))
    AND (positionCaseInsensitiveUTF8(Body, {p10:String}) > 0)
    AND (hasAllTokens(lower(Body), {p11:Array(String)}))
    AND (positionCaseInsensitiveUTF8(Body, {p12:String}) > 0)
    AND (arrayExists((k, v) -> k = {p13:String} AND v = {p14:String}, mapKeys(LogAttributes), mapValues(LogAttributes)) OR arrayExists((k, v) -> k = {p13:String} AND v = {p14:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)) OR arrayExists((k, v) -> k = {p13:String} AND v = {p14:String}, mapKeys(ScopeAttributes), mapValues(ScopeAttributes)))
    AND (arrayExists((k, v) -> k = {p15:String} AND v = {p16:String}, mapKeys(LogAttributes), mapValues(LogAttributes)) OR arrayExists((k, v) -> k = {p15:String} AND v = {p16:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)) OR arrayExists((k, v) -> k = {p15:String} AND v = {p16:String}, mapKeys(ScopeAttributes), mapValues(ScopeAttributes)))
    AND (mapContains(LogAttributes, {p17:String}) OR mapContains(ResourceAttributes, {p17:String}) OR mapContains(ScopeAttributes, {p17:String}))
    AND (EventName = {p18:String})
    AND (NOT ((hasAllTokens(lower(Body), {p19:Array(String)})) AND (positionCaseInsensitiveUTF8(Body, {p20:String}) > 0)))
    AND (NOT ((TraceId = {p21:String})))
    AND (NOT (((PatternKey = {p22:UInt64}))))
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
-- p4 = Text("it's")
-- p5 = U64(8)
-- p6 = Text("it's")
-- p7 = U64(7)
-- p8 = Texts(["timeout"])
-- p9 = Texts(["4711", "order"])
-- p10 = Text("order-4711")
-- p11 = Texts(["s"])
-- p12 = Text("it's %_\\ broken")
-- p13 = Text("user")
-- p14 = Text("O'Brien")
-- p15 = Text("empty")
-- p16 = Text("")
-- p17 = Text("key")
-- p18 = Text("e")
-- p19 = Texts(["later", "retry"])
-- p20 = Text("retry later")
-- p21 = Text("99")
-- p22 = U64(11)
