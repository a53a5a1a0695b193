-- What a list says about given traces, from all their spans, each counted once; `key_ns` is the
-- earliest span in the searched window by which the trace was found. `[held]` are the ranges that the
-- traces lie in, so that no more than these are read.
WITH
    (
        Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        --[seen]
        --[finds]
    ) AS found,
    (
        found
        --[refines]
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
    --[held]
GROUP BY trace_id
