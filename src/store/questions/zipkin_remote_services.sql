-- The other sides of a service's spans, as far as they have a name: from the endpoint that a Zipkin
-- sender gave, else as the translation of an OpenTelemetry client or producer names it.
WITH
    arrayFirst(value -> value != '', arrayMap(key -> SpanAttributes[key], {remote_keys:Array(String)})) AS peer
SELECT DISTINCT lowerUTF8(multiIf(
    bitAnd(Marks, {zipkin:UInt32}) != 0,
    JSONExtractString(RemoteEndpoint, 'serviceName'),
    SpanKind NOT IN ('Client', 'Producer') OR isIPv4String(peer) OR isIPv6String(peer),
    '',
    peer
)) AS name
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND lowerUTF8(ServiceName) = {service:String}
    AND (RemoteEndpoint != '' OR bitAnd(Marks, {zipkin:UInt32}) = 0)
    AND name != ''
ORDER BY name
LIMIT {limit:UInt64}
