SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND (lowerUTF8(ServiceName) = {p0:String})
    AND ((StatusCode = 'Error' OR mapContains(SpanAttributes, 'error') OR has(Events.Name, 'error')) OR (SpanAttributes['error'] = {p2:String} OR (bitAnd(Marks, {p1:UInt32}) = 0 AND StatusCode = 'Error' AND StatusMessage = {p2:String})) OR (SpanAttributes[{p4:String}] = {p5:String} OR bitAnd(Marks, {p3:UInt32}) = 0) OR (mapContains(SpanAttributes, {p6:String}) OR has(Events.Name, {p6:String})) OR (lowerUTF8(Peer) = {p8:String} OR (bitAnd(Marks, {p7:UInt32}) = 0 AND has(mapValues(SpanAttributes), {p8:String}))) OR (lowerUTF8(SpanName) = {p9:String}) OR (Duration >= {p10:UInt64} AND (Duration <= {p11:UInt64} OR Duration = {p12:UInt64})))
GROUP BY trace_id
HAVING last_ns >= {key_from:Int64}
    AND (last_ns, trace_id) < ({before_ns:Int64}, {before_id:String})
    AND (countIf((StatusCode = 'Error' OR mapContains(SpanAttributes, 'error') OR has(Events.Name, 'error'))) > 0)
    AND (countIf((SpanAttributes['error'] = {h1:String} OR (bitAnd(Marks, {h0:UInt32}) = 0 AND StatusCode = 'Error' AND StatusMessage = {h1:String}))) > 0)
    AND (countIf((SpanAttributes[{h3:String}] = {h4:String} OR bitAnd(Marks, {h2:UInt32}) = 0)) > 0)
    AND (countIf((mapContains(SpanAttributes, {h5:String}) OR has(Events.Name, {h5:String}))) > 0)
    AND (countIf((lowerUTF8(Peer) = {h7:String} OR (bitAnd(Marks, {h6:UInt32}) = 0 AND has(mapValues(SpanAttributes), {h7:String})))) > 0)
    AND (countIf((lowerUTF8(SpanName) = {h8:String})) > 0)
    AND (countIf((Duration >= {h9:UInt64} AND (Duration <= {h10:UInt64} OR Duration = {h11:UInt64}))) > 0)
ORDER BY last_ns DESC, trace_id DESC
LIMIT {limit:UInt64}

-- tenant = Text("acme")
-- from = I64(500)
-- to = I64(2000)
-- key_from = I64(1000)
-- before_ns = I64(1900)
-- before_id = Text("ab")
-- limit = U64(20)
-- p0 = Text("front'; DROP TABLE otel_traces --")
-- p1 = U64(4096)
-- p2 = Text("x")
-- p3 = U64(4096)
-- p4 = Text("otel.scope.name")
-- p5 = Text("y")
-- p6 = Text("w")
-- p7 = U64(4096)
-- p8 = Text("db")
-- p9 = Text("get /")
-- p10 = U64(0)
-- p11 = U64(2999)
-- p12 = U64(18446744073709551615)
-- h0 = U64(4096)
-- h1 = Text("x")
-- h2 = U64(4096)
-- h3 = Text("otel.scope.name")
-- h4 = Text("y")
-- h5 = Text("w")
-- h6 = U64(4096)
-- h7 = Text("db")
-- h8 = Text("get /")
-- h9 = U64(0)
-- h10 = U64(2999)
-- h11 = U64(18446744073709551615)
