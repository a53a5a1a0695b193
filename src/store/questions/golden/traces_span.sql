SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(min(Timestamp)) AS key_ns
FROM
(
    SELECT TraceId, Timestamp
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (RowVersion > 0)
        AND (ServiceName = {p0:String})
        AND (SpanName = {p1:String})
        AND (StatusCode = 'Error')
        AND (HttpRoute = {p2:String})
        AND (HttpStatusCode = {p3:UInt16})
        AND (DbSystem != '')
        AND (SpanAttributes[{p4:String}] = {p5:String} OR ResourceAttributes[{p4:String}] = {p5:String})
        AND ((mapContains(SpanAttributes, {p6:String}) AND SpanAttributes[{p6:String}] = {p7:String}) OR (mapContains(ResourceAttributes, {p6:String}) AND ResourceAttributes[{p6:String}] = {p7:String}))
    UNION ALL
    SELECT TraceId, Timestamp
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (RowVersion = 0)
        AND (ServiceName = {q0:String})
        AND (SpanName = {q1:String})
        AND (StatusCode = 'Error')
        AND (SpanAttributes[{q2:String}] = {q3:String} OR ResourceAttributes[{q2:String}] = {q3:String})
        AND (SpanAttributes[{q4:String}] = {q5:String} OR ResourceAttributes[{q4:String}] = {q5:String})
        AND (SpanAttributes[{q6:String}] = {q7:String} OR ResourceAttributes[{q6:String}] = {q7:String})
        AND (SpanAttributes[{q8:String}] = {q9:String} OR ResourceAttributes[{q8:String}] = {q9:String})
        AND ((mapContains(SpanAttributes, {q10:String}) AND SpanAttributes[{q10:String}] = {q11:String}) OR (mapContains(ResourceAttributes, {q10:String}) AND ResourceAttributes[{q10:String}] = {q11:String}))
)
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
-- p0 = Text("front'; DROP TABLE otel_traces --")
-- p1 = Text("GET /")
-- p2 = Text("/a/{id}")
-- p3 = U64(500)
-- p4 = Text("user'id")
-- p5 = Text("\\x' OR 1=1")
-- p6 = Text("empty")
-- p7 = Text("")
-- q0 = Text("front'; DROP TABLE otel_traces --")
-- q1 = Text("GET /")
-- q2 = Text("http.route")
-- q3 = Text("/a/{id}")
-- q4 = Text("http.status_code")
-- q5 = Text("500")
-- q6 = Text("db.system")
-- q7 = Text("mysql")
-- q8 = Text("user'id")
-- q9 = Text("\\x' OR 1=1")
-- q10 = Text("empty")
-- q11 = Text("")
-- key_from = I64(1000)

WITH
    (
        Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (ServiceName = {p0:String})
        AND (SpanName = {p1:String})
        AND (StatusCode = 'Error')
        AND (HttpRoute = {p2:String})
        AND (HttpStatusCode = {p3:UInt16})
        AND (DbSystem != '')
        AND (SpanAttributes[{p4:String}] = {p5:String} OR ResourceAttributes[{p4:String}] = {p5:String})
        AND ((mapContains(SpanAttributes, {p6:String}) AND SpanAttributes[{p6:String}] = {p7:String}) OR (mapContains(ResourceAttributes, {p6:String}) AND ResourceAttributes[{p6:String}] = {p7:String}))
    ) AS found,
    (
        found
        AND (RowVersion = 0 OR SpanAttributes[{r0:String}] = {r1:String})
        AND (RowVersion = 0 OR SpanAttributes[{r2:String}] = {r3:String})
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
    toBool(min(RowVersion) = 0) AS foreign
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
-- p0 = Text("front'; DROP TABLE otel_traces --")
-- p1 = Text("GET /")
-- p2 = Text("/a/{id}")
-- p3 = U64(500)
-- p4 = Text("user'id")
-- p5 = Text("\\x' OR 1=1")
-- p6 = Text("empty")
-- p7 = Text("")
-- r0 = Text("http.status_code")
-- r1 = Text("500")
-- r2 = Text("db.system")
-- r3 = Text("mysql")
-- h0 = I64(500)
-- h1 = I64(900)
-- h2 = I64(-2208988800000000000)
-- h3 = I64(9214646400000000000)

WITH
    (
        Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (RowVersion > 0 OR ((ServiceName = {p0:String}) AND (SpanName = {p1:String}) AND (StatusCode = 'Error') AND (SpanAttributes[{p2:String}] = {p3:String} OR ResourceAttributes[{p2:String}] = {p3:String}) AND (SpanAttributes[{p4:String}] = {p5:String} OR ResourceAttributes[{p4:String}] = {p5:String}) AND (SpanAttributes[{p6:String}] = {p7:String} OR ResourceAttributes[{p6:String}] = {p7:String}) AND (SpanAttributes[{p8:String}] = {p9:String} OR ResourceAttributes[{p8:String}] = {p9:String}) AND ((mapContains(SpanAttributes, {p10:String}) AND SpanAttributes[{p10:String}] = {p11:String}) OR (mapContains(ResourceAttributes, {p10:String}) AND ResourceAttributes[{p10:String}] = {p11:String}))))
        AND (RowVersion = 0 OR ((ServiceName = {p12:String}) AND (SpanName = {p13:String}) AND (StatusCode = 'Error') AND (HttpRoute = {p14:String}) AND (HttpStatusCode = {p15:UInt16}) AND (DbSystem != '') AND (SpanAttributes[{p16:String}] = {p17:String} OR ResourceAttributes[{p16:String}] = {p17:String}) AND ((mapContains(SpanAttributes, {p18:String}) AND SpanAttributes[{p18:String}] = {p19:String}) OR (mapContains(ResourceAttributes, {p18:String}) AND ResourceAttributes[{p18:String}] = {p19:String}))))
    ) AS found,
    (
        found
        AND (RowVersion = 0 OR SpanAttributes[{r0:String}] = {r1:String})
        AND (RowVersion = 0 OR SpanAttributes[{r2:String}] = {r3:String})
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
    toBool(min(RowVersion) = 0) AS foreign
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
-- p0 = Text("front'; DROP TABLE otel_traces --")
-- p1 = Text("GET /")
-- p2 = Text("http.route")
-- p3 = Text("/a/{id}")
-- p4 = Text("http.status_code")
-- p5 = Text("500")
-- p6 = Text("db.system")
-- p7 = Text("mysql")
-- p8 = Text("user'id")
-- p9 = Text("\\x' OR 1=1")
-- p10 = Text("empty")
-- p11 = Text("")
-- p12 = Text("front'; DROP TABLE otel_traces --")
-- p13 = Text("GET /")
-- p14 = Text("/a/{id}")
-- p15 = U64(500)
-- p16 = Text("user'id")
-- p17 = Text("\\x' OR 1=1")
-- p18 = Text("empty")
-- p19 = Text("")
-- r0 = Text("http.status_code")
-- r1 = Text("500")
-- r2 = Text("db.system")
-- r3 = Text("mysql")
-- h0 = I64(500)
-- h1 = I64(900)
-- h2 = I64(-2208988800000000000)
-- h3 = I64(9214646400000000000)
