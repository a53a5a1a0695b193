-- What decides about links, of the spans of a window. Spans of Zipkin senders say all by narrow columns; those of
-- others name the other side by the promoted peer where there is one, and by attributes where there is none. Traces
-- are known by their low half: both widths of an id together.
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
    toBool(if(
        bitAnd(Marks, {zipkin:UInt32}) != 0,
        mapContains(SpanAttributes, 'error'),
        StatusCode = 'Error' OR (mapContains(SpanAttributes, 'error') AND NOT (
            SpanAttributes['error'] = 'false' AND position(SpanAttributeTypes, 'b') > 0
        ))
    )) AS error,
    multiIf(
        bitAnd(Marks, {zipkin:UInt32}) != 0 OR SpanKind NOT IN ('Client', 'Producer'),
        '',
        Peer != '' AND NOT hasAny(mapKeys(SpanAttributes), ['server.socket.domain', 'server.socket.address', 'net.sock.peer.name']),
        toString(Peer),
        arrayFirst(value -> value != '', arrayMap(key -> SpanAttributes[key], {remote_keys:Array(String)}))
    ) AS peer
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
