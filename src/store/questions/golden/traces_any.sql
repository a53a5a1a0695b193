SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(min(Timestamp)) AS key_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
GROUP BY trace_id
HAVING key_ns >= {key_from:Int64}
    AND (key_ns, trace_id) < ({before_ns:Int64}, {before_id:String})
ORDER BY key_ns DESC, trace_id DESC
LIMIT {limit:UInt64}

-- tenant = Text("acme")
-- from = I64(-9999999000)
-- to = I64(2000)
-- before_ns = I64(9223372036854775807)
-- before_id = Text("")
-- limit = U64(21)
-- key_from = I64(1000)

WITH
    (
        Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    ) AS found,
    (
        found
    ) AS matching,
    (ParentSpanId = '' OR ParentSpanId = SpanId) AS parentless,
    toUInt64(toUnixTimestamp64Nano(Timestamp)) AS began,
    groupUniqArrayIf(sipHash64(ParentSpanId), NOT parentless) AS parents
SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(minIf(Timestamp, found)) AS key_ns,
    countIf(matching) AS matches,
    toUnixTimestamp64Nano(min(Timestamp)) AS start_ns,
    toUInt64(max(began + least(Duration, 4000000000000000000)) - min(began)) AS duration_ns,
    uniqExact(SpanId, ServiceName, SpanKind, Timestamp, Duration) AS spans,
    uniqExactIf((SpanId, ServiceName, SpanKind, Timestamp, Duration), StatusCode = 'Error') AS errors,
    arraySort(groupUniqArray(toString(ServiceName))) AS services,
    countIf(parentless) AS roots,
    argMinIf((toString(ServiceName), toString(SpanName)), (Timestamp, SpanId), parentless) AS root,
    argMin((toString(ServiceName), toString(SpanName)), (Timestamp, SpanId)) AS earliest,
    toBool(length(parents) = length(arrayIntersect(parents, groupUniqArray(sipHash64(SpanId))))) AS parents_present,
    toBool(max(bitAnd(Marks, {id64:UInt32})) > 0) AS id64,
    toBool(min(RowVersion) < 2) AS unvouched
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND TraceId IN {ids:Array(String)}
    AND ((Timestamp >= fromUnixTimestamp64Nano({h0:Int64}) AND Timestamp < fromUnixTimestamp64Nano({h1:Int64})) OR (Timestamp >= fromUnixTimestamp64Nano({h2:Int64}) AND Timestamp < fromUnixTimestamp64Nano({h3:Int64})))
GROUP BY trace_id

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- ids = Texts(["ab"])
-- id64 = U64(16)
-- h0 = I64(500)
-- h1 = I64(900)
-- h2 = I64(-2208988800000000000)
-- h3 = I64(9214646400000000000)

WITH
    (
        Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    ) AS found,
    (
        found
    ) AS matching,
    (ParentSpanId = '' OR ParentSpanId = SpanId) AS parentless,
    toUInt64(toUnixTimestamp64Nano(Timestamp)) AS began,
    groupUniqArrayIf(sipHash64(ParentSpanId), NOT parentless) AS parents
SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(minIf(Timestamp, found)) AS key_ns,
    countIf(matching) AS matches,
    toUnixTimestamp64Nano(min(Timestamp)) AS start_ns,
    toUInt64(max(began + least(Duration, 4000000000000000000)) - min(began)) AS duration_ns,
    uniqExact(SpanId, ServiceName, SpanKind, Timestamp, Duration) AS spans,
    uniqExactIf((SpanId, ServiceName, SpanKind, Timestamp, Duration), StatusCode = 'Error') AS errors,
    arraySort(groupUniqArray(toString(ServiceName))) AS services,
    countIf(parentless) AS roots,
    argMinIf((toString(ServiceName), toString(SpanName)), (Timestamp, SpanId), parentless) AS root,
    argMin((toString(ServiceName), toString(SpanName)), (Timestamp, SpanId)) AS earliest,
    toBool(length(parents) = length(arrayIntersect(parents, groupUniqArray(sipHash64(SpanId))))) AS parents_present,
    toBool(max(bitAnd(Marks, {id64:UInt32})) > 0) AS id64,
    toBool(min(RowVersion) < 2) AS unvouched
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND TraceId IN {ids:Array(String)}
    AND ((Timestamp >= fromUnixTimestamp64Nano({h0:Int64}) AND Timestamp < fromUnixTimestamp64Nano({h1:Int64})) OR (Timestamp >= fromUnixTimestamp64Nano({h2:Int64}) AND Timestamp < fromUnixTimestamp64Nano({h3:Int64})))
GROUP BY trace_id

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- ids = Texts(["ab"])
-- id64 = U64(16)
-- h0 = I64(500)
-- h1 = I64(900)
-- h2 = I64(-2208988800000000000)
-- h3 = I64(9214646400000000000)
