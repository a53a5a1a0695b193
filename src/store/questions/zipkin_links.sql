-- What decides about links, of one part of the traces that have a span with a time of its own in a
-- window: trace by trace, both widths of an id together. Spans of Zipkin senders say all by narrow
-- columns; the attributes are read for others only.
SELECT *
FROM
(
    SELECT
        substring(TraceId, 17) AS trace,
        SpanId AS span_id,
        ParentSpanId AS parent_span_id,
        ServiceName AS service,
        SpanKind AS kind,
        toUnixTimestamp64Nano(Timestamp) AS start_ns,
        Marks AS marks,
        LocalEndpoint AS local_endpoint,
        RemoteEndpoint AS remote_endpoint,
        toBool(mapContains(SpanAttributes, 'error')) AS error,
        '' AS peer
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND bitAnd(Marks, {zipkin:UInt32}) != 0
        AND cityHash64(trace) % {parts:UInt64} = {part:UInt64}
        AND trace IN (
            SELECT substring(TraceId, 17)
            FROM otel_traces
            WHERE Tenant = {tenant:String}
                AND Timestamp >= fromUnixTimestamp64Nano({window_from:Int64})
                AND Timestamp < fromUnixTimestamp64Nano({window_to:Int64})
                AND bitAnd(Marks, {odd:UInt32}) = 0
                AND cityHash64(substring(TraceId, 17)) % {parts:UInt64} = {part:UInt64}
        )
    UNION ALL
    SELECT
        substring(TraceId, 17) AS trace,
        SpanId AS span_id,
        ParentSpanId AS parent_span_id,
        ServiceName AS service,
        SpanKind AS kind,
        toUnixTimestamp64Nano(Timestamp) AS start_ns,
        Marks AS marks,
        LocalEndpoint AS local_endpoint,
        RemoteEndpoint AS remote_endpoint,
        toBool(StatusCode = 'Error' OR (mapContains(SpanAttributes, 'error') AND NOT (
            SpanAttributes['error'] = 'false' AND position(SpanAttributeTypes, 'b') > 0
        ))) AS error,
        if(
            SpanKind IN ('Client', 'Producer'),
            arrayFirst(value -> value != '', arrayMap(key -> SpanAttributes[key], {remote_keys:Array(String)})),
            ''
        ) AS peer
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND bitAnd(Marks, {zipkin:UInt32}) = 0
        AND cityHash64(trace) % {parts:UInt64} = {part:UInt64}
        AND trace IN (
            SELECT substring(TraceId, 17)
            FROM otel_traces
            WHERE Tenant = {tenant:String}
                AND Timestamp >= fromUnixTimestamp64Nano({window_from:Int64})
                AND Timestamp < fromUnixTimestamp64Nano({window_to:Int64})
                AND bitAnd(Marks, {odd:UInt32}) = 0
                AND cityHash64(substring(TraceId, 17)) % {parts:UInt64} = {part:UInt64}
        )
)
ORDER BY trace
