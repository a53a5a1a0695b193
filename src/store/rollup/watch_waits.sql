-- How long messages waited: from the producer's end to the consumer's start, through the parent or the first link.
SELECT
    tenant,
    intDiv(took_ns, 10000000000) * 10 AS slot_s,
    service,
    operation,
    toFloat64(count()) AS requests,
    sumMap(
        [toInt16(if(wait_ns < 512, wait_ns, 512 + least(floor(log2(wait_ns / 512) * 40), 2199)))],
        [toFloat64(1)]
    ) AS latency
FROM
(
    SELECT
        consumers.tenant AS tenant,
        consumers.service AS service,
        consumers.operation AS operation,
        consumers.took_ns AS took_ns,
        greatest(consumers.took_ns - producers.sent_ns, 0) AS wait_ns
    FROM
    (
        SELECT
            Tenant AS tenant,
            ServiceName AS service,
            SpanName AS operation,
            toUnixTimestamp64Nano(Timestamp) AS took_ns,
            if(notEmpty(`Links.TraceId`), `Links.TraceId`[1], TraceId) AS trace,
            if(notEmpty(`Links.SpanId`), `Links.SpanId`[1], ParentSpanId) AS span
        FROM otel_traces
        WHERE SpanKind = 'Consumer'
            AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
            AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        LIMIT {limit:UInt64}
    ) AS consumers
    INNER ANY JOIN
    (
        SELECT
            Tenant AS tenant,
            TraceId AS trace,
            SpanId AS span,
            toUnixTimestamp64Nano(Timestamp) + toInt64(Duration) AS sent_ns
        FROM otel_traces
        WHERE SpanKind = 'Producer'
            AND Timestamp >= fromUnixTimestamp64Nano({from:Int64} - 600000000000)
            AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        LIMIT {limit:UInt64}
    ) AS producers USING (tenant, trace, span)
)
GROUP BY tenant, slot_s, service, operation
ORDER BY slot_s
