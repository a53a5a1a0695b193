SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(min(Timestamp)) AS key_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND (ServiceName = {p0:String})
    AND (SpanName = {p1:String})
    AND (StatusCode = 'Error')
    AND (RowVersion = 0 OR HttpRoute = {p2:String})
    AND (SpanAttributes[{p3:String}] = {p4:String} OR ResourceAttributes[{p3:String}] = {p4:String})
    AND (RowVersion = 0 OR HttpStatusCode = {p5:UInt16})
    AND (SpanAttributes[{p6:String}] = {p7:String} OR ResourceAttributes[{p6:String}] = {p7:String})
    AND (RowVersion = 0 OR DbSystem != '')
    AND (SpanAttributes[{p8:String}] = {p9:String} OR ResourceAttributes[{p8:String}] = {p9:String})
    AND (SpanAttributes[{p10:String}] = {p11:String} OR ResourceAttributes[{p10:String}] = {p11:String})
    AND ((mapContains(SpanAttributes, {p12:String}) AND SpanAttributes[{p12:String}] = {p13:String}) OR (mapContains(ResourceAttributes, {p12:String}) AND ResourceAttributes[{p12:String}] = {p13:String}))
GROUP BY trace_id
HAVING (key_ns, trace_id) < ({before_ns:Int64}, {before_id:String})
ORDER BY key_ns DESC, trace_id DESC
LIMIT {limit:UInt64}

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- before_ns = I64(9223372036854775807)
-- before_id = Text("")
-- limit = U64(21)
-- p0 = Text("front'; DROP TABLE otel_traces --")
-- p1 = Text("GET /")
-- p2 = Text("/a/{id}")
-- p3 = Text("http.route")
-- p4 = Text("/a/{id}")
-- p5 = U64(500)
-- p6 = Text("http.status_code")
-- p7 = Text("500")
-- p8 = Text("db.system")
-- p9 = Text("mysql")
-- p10 = Text("user'id")
-- p11 = Text("\\x' OR 1=1")
-- p12 = Text("empty")
-- p13 = Text("")

WITH
    (
        Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (ServiceName = {p0:String})
        AND (SpanName = {p1:String})
        AND (StatusCode = 'Error')
        AND (RowVersion = 0 OR HttpRoute = {p2:String})
        AND (SpanAttributes[{p3:String}] = {p4:String} OR ResourceAttributes[{p3:String}] = {p4:String})
        AND (RowVersion = 0 OR HttpStatusCode = {p5:UInt16})
        AND (SpanAttributes[{p6:String}] = {p7:String} OR ResourceAttributes[{p6:String}] = {p7:String})
        AND (RowVersion = 0 OR DbSystem != '')
        AND (SpanAttributes[{p8:String}] = {p9:String} OR ResourceAttributes[{p8:String}] = {p9:String})
        AND (SpanAttributes[{p10:String}] = {p11:String} OR ResourceAttributes[{p10:String}] = {p11:String})
        AND ((mapContains(SpanAttributes, {p12:String}) AND SpanAttributes[{p12:String}] = {p13:String}) OR (mapContains(ResourceAttributes, {p12:String}) AND ResourceAttributes[{p12:String}] = {p13:String}))
    ) AS matching,
    (ParentSpanId = '' OR ParentSpanId = SpanId) AS parentless,
    toUInt64(toUnixTimestamp64Nano(Timestamp)) AS began,
    groupUniqArrayIf(sipHash64(ParentSpanId), NOT parentless) AS parents
SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(minIf(Timestamp, matching)) AS key_ns,
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
    toBool(max(bitAnd(Marks, {id64:UInt32})) > 0) AS id64
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND TraceId IN {ids:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano({held_from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({held_to:Int64})
GROUP BY trace_id

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- held_from = I64(-2208988800000000000)
-- held_to = I64(9214646400000000000)
-- ids = Texts(["ab"])
-- id64 = U64(16)
-- p0 = Text("front'; DROP TABLE otel_traces --")
-- p1 = Text("GET /")
-- p2 = Text("/a/{id}")
-- p3 = Text("http.route")
-- p4 = Text("/a/{id}")
-- p5 = U64(500)
-- p6 = Text("http.status_code")
-- p7 = Text("500")
-- p8 = Text("db.system")
-- p9 = Text("mysql")
-- p10 = Text("user'id")
-- p11 = Text("\\x' OR 1=1")
-- p12 = Text("empty")
-- p13 = Text("")
