-- What entered services and what they called, counted in slots of so many seconds. Durations as buckets of
-- `correlate::graph::Sketch`, as near as logarithms tell.
SELECT
    Tenant AS tenant,
    intDiv(toUnixTimestamp64Nano(Timestamp), {slot:Int64} * 1000000000) * {slot:Int64} AS slot_s,
    ServiceName AS service,
    SpanName AS operation,
    ParentSpanId = '' OR SpanKind IN ('Server', 'Consumer') AS enters,
    if(
        enters,
        '',
        multiIf(
            DbSystem != '', if(DbNamespace = '', DbSystem, concat(DbSystem, '/', DbNamespace)),
            MessagingDestination != '', MessagingDestination,
            Peer
        )
    ) AS peer,
    sum(if(Weight > 0, Weight, 1)) AS requests,
    sumIf(if(Weight > 0, Weight, 1), StatusCode = 'Error') AS errors,
    sumIf(if(Weight > 0, Weight, 1), SpanKind = 'Server' AND ParentSpanId = '') AS roots,
    sumMap(
        [toInt16(if(Duration < 512, Duration, 512 + least(floor(log2(Duration / 512) * 40), 2199)))],
        [toFloat64(if(Weight > 0, Weight, 1))]
    ) AS latency
FROM otel_traces
WHERE Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND (ParentSpanId = '' OR SpanKind IN ('Server', 'Consumer', 'Client', 'Producer'))
GROUP BY tenant, slot_s, service, operation, enters, peer
ORDER BY slot_s
LIMIT {limit:UInt64}
