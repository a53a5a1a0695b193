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
        AND (DbSystem = {p4:String})
        AND (arrayExists((k, v) -> k = {p5:String} AND v = {p6:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p5:String} AND v = {p6:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (arrayExists((k, v) -> k = {p7:String} AND v = {p8:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p7:String} AND v = {p8:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
    UNION ALL
    SELECT TraceId, Timestamp
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (RowVersion < 2)
        AND (has(mapValues(SpanAttributes), {q1:String}) AND arrayExists((k, v) -> k = {q0:String} AND v = {q1:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)))
        AND (ServiceName = {q2:String})
        AND (SpanName = {q3:String})
        AND (StatusCode = 'Error')
        AND (arrayExists((k, v) -> k = {q4:String} AND v = {q5:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {q4:String} AND v = {q5:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (arrayExists((k, v) -> k = {q6:String} AND v = {q7:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {q6:String} AND v = {q7:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (arrayExists((k, v) -> k = {q8:String} AND v = {q9:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {q8:String} AND v = {q9:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (arrayExists((k, v) -> k = {q10:String} AND v = {q11:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {q10:String} AND v = {q11:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
    UNION ALL
    SELECT TraceId, Timestamp
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND (RowVersion < 2)
        AND (ResourceKeys = '' OR position(ResourceKeys, {o0:String}) > 0)
        AND (arrayExists((k, v) -> k = {o1:String} AND v = {o2:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (ServiceName = {o3:String})
        AND (SpanName = {o4:String})
        AND (StatusCode = 'Error')
        AND (arrayExists((k, v) -> k = {o5:String} AND v = {o6:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {o5:String} AND v = {o6:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (arrayExists((k, v) -> k = {o7:String} AND v = {o8:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {o7:String} AND v = {o8:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (arrayExists((k, v) -> k = {o9:String} AND v = {o10:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {o9:String} AND v = {o10:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (arrayExists((k, v) -> k = {o11:String} AND v = {o12:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {o11:String} AND v = {o12:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
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
-- p4 = Text("mysql")
-- p5 = Text("user'id")
-- p6 = Text("\\x' OR 1=1")
-- p7 = Text("empty")
-- p8 = Text("")
-- q0 = Text("http.route")
-- q1 = Text("/a/{id}")
-- q2 = Text("front'; DROP TABLE otel_traces --")
-- q3 = Text("GET /")
-- q4 = Text("http.status_code")
-- q5 = Text("500")
-- q6 = Text("db.system")
-- q7 = Text("mysql")
-- q8 = Text("user'id")
-- q9 = Text("\\x' OR 1=1")
-- q10 = Text("empty")
-- q11 = Text("")
-- o0 = Text(",http.route,")
-- o1 = Text("http.route")
-- o2 = Text("/a/{id}")
-- o3 = Text("front'; DROP TABLE otel_traces --")
-- o4 = Text("GET /")
-- o5 = Text("http.status_code")
-- o6 = Text("500")
-- o7 = Text("db.system")
-- o8 = Text("mysql")
-- o9 = Text("user'id")
-- o10 = Text("\\x' OR 1=1")
-- o11 = Text("empty")
-- o12 = Text("")
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
        AND (DbSystem = {p4:String})
        AND (arrayExists((k, v) -> k = {p5:String} AND v = {p6:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p5:String} AND v = {p6:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (arrayExists((k, v) -> k = {p7:String} AND v = {p8:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p7:String} AND v = {p8:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
    ) AS found,
    (
        found
        AND (arrayExists((k, v) -> k = {r0:String} AND v = {r1:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)))
        AND (arrayExists((k, v) -> k = {r2:String} AND v = {r3:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)))
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
-- p0 = Text("front'; DROP TABLE otel_traces --")
-- p1 = Text("GET /")
-- p2 = Text("/a/{id}")
-- p3 = U64(500)
-- p4 = Text("mysql")
-- p5 = Text("user'id")
-- p6 = Text("\\x' OR 1=1")
-- p7 = Text("empty")
-- p8 = Text("")
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
        AND (((RowVersion > 0) AND (ServiceName = {p0:String}) AND (SpanName = {p1:String}) AND (StatusCode = 'Error') AND (HttpRoute = {p2:String}) AND (HttpStatusCode = {p3:UInt16}) AND (DbSystem = {p4:String}) AND (arrayExists((k, v) -> k = {p5:String} AND v = {p6:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p5:String} AND v = {p6:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes))) AND (arrayExists((k, v) -> k = {p7:String} AND v = {p8:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p7:String} AND v = {p8:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))) OR ((RowVersion < 2) AND (ServiceName = {p9:String}) AND (SpanName = {p10:String}) AND (StatusCode = 'Error') AND (arrayExists((k, v) -> k = {p11:String} AND v = {p12:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p11:String} AND v = {p12:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes))) AND (arrayExists((k, v) -> k = {p13:String} AND v = {p14:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p13:String} AND v = {p14:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes))) AND (arrayExists((k, v) -> k = {p15:String} AND v = {p16:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p15:String} AND v = {p16:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes))) AND (arrayExists((k, v) -> k = {p17:String} AND v = {p18:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p17:String} AND v = {p18:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes))) AND (arrayExists((k, v) -> k = {p19:String} AND v = {p20:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {p19:String} AND v = {p20:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))))
    ) AS found,
    (
        found
        AND (arrayExists((k, v) -> k = {r0:String} AND v = {r1:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {r0:String} AND v = {r1:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
        AND (arrayExists((k, v) -> k = {r2:String} AND v = {r3:String}, mapKeys(SpanAttributes), mapValues(SpanAttributes)) OR arrayExists((k, v) -> k = {r2:String} AND v = {r3:String}, mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))
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
-- p0 = Text("front'; DROP TABLE otel_traces --")
-- p1 = Text("GET /")
-- p2 = Text("/a/{id}")
-- p3 = U64(500)
-- p4 = Text("mysql")
-- p5 = Text("user'id")
-- p6 = Text("\\x' OR 1=1")
-- p7 = Text("empty")
-- p8 = Text("")
-- p9 = Text("front'; DROP TABLE otel_traces --")
-- p10 = Text("GET /")
-- p11 = Text("http.route")
-- p12 = Text("/a/{id}")
-- p13 = Text("http.status_code")
-- p14 = Text("500")
-- p15 = Text("db.system")
-- p16 = Text("mysql")
-- p17 = Text("user'id")
-- p18 = Text("\\x' OR 1=1")
-- p19 = Text("empty")
-- p20 = Text("")
-- r0 = Text("http.status_code")
-- r1 = Text("500")
-- r2 = Text("db.system")
-- r3 = Text("mysql")
-- h0 = I64(500)
-- h1 = I64(900)
-- h2 = I64(-2208988800000000000)
-- h3 = I64(9214646400000000000)
