-- The other sides of a service's spans, as far as they have a name: from the endpoint that a Zipkin
-- sender gave; else as the translation of an OpenTelemetry client or producer names it, which is the
-- promoted peer where there is one, and read from the attributes where there is none.
SELECT DISTINCT lowerUTF8(if(isIPv4String(peer) OR isIPv6String(peer), '', peer)) AS name
FROM
(
    SELECT JSONExtractString(endpoint, 'serviceName') AS peer
    FROM
    (
        SELECT RemoteEndpoint AS endpoint
        FROM otel_traces
        WHERE Tenant = {tenant:String}
            --[held]
            AND lowerUTF8(ServiceName) = {service:String}
            AND bitAnd(Marks, {zipkin:UInt32}) != 0
            AND RemoteEndpoint != ''
        GROUP BY endpoint
    )
    UNION ALL
    SELECT toString(Peer) AS peer
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        --[held]
        AND lowerUTF8(ServiceName) = {service:String}
        AND bitAnd(Marks, {zipkin:UInt32}) = 0
        AND SpanKind IN ('Client', 'Producer')
        AND Peer != ''
    GROUP BY Peer
    UNION ALL
    SELECT arrayFirst(value -> value != '', arrayMap(key -> SpanAttributes[key], {remote_keys:Array(String)})) AS peer
    FROM otel_traces
    WHERE Tenant = {tenant:String}
        --[held]
        AND bitAnd(Marks, {zipkin:UInt32}) = 0
        AND SpanKind IN ('Client', 'Producer')
        AND Peer = ''
        AND lowerUTF8(ServiceName) = {service:String}
    GROUP BY peer
)
ORDER BY name
LIMIT {limit:UInt64}
