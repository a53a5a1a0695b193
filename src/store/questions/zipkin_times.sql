-- When given traces are, read narrowly: the earliest span without a parent and the earliest span of
-- all, as far as they stand at a time of their own; and whether some say another time than they stand at.
WITH bitAnd(Marks, {odd:UInt32}) = 0 AS timed
SELECT
    TraceId AS trace_id,
    if(
        countIf(timed AND (ParentSpanId = '' OR ParentSpanId = SpanId)) > 0,
        toUnixTimestamp64Nano(minIf(Timestamp, timed AND (ParentSpanId = '' OR ParentSpanId = SpanId))),
        {never:Int64}
    ) AS root_ns,
    if(countIf(timed) > 0, toUnixTimestamp64Nano(minIf(Timestamp, timed)), {never:Int64}) AS first_ns,
    toBool(countIf(bitAnd(Marks, {elsewhere:UInt32}) != 0) > 0) AS is_elsewhere
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND TraceId IN {ids:Array(String)}
    --[held]
GROUP BY trace_id
