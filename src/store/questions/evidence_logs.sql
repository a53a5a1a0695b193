-- Log records of a window that belong to a trace, as fault localization needs them.
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    toString(ServiceName) AS service,
    toUnixTimestamp64Nano(Timestamp) AS time_ns,
    SeverityNumber AS severity,
    substring(Body, 1, 512) AS body,
    if(LogAttributes['code.file.path'] != '', LogAttributes['code.file.path'], LogAttributes['code.filepath']) AS file,
    if(LogAttributes['code.line.number'] != '', LogAttributes['code.line.number'], LogAttributes['code.lineno']) AS line
FROM otel_logs
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    AND TraceId != ''
    --[traces]
