-- One log of each of a service's keys, from given parts.
SELECT
    key,
    toValidUTF8(substring(body, 1, {bytes:UInt64})) AS example,
    event_name,
    severity_number,
    if(empty(attributes['code.file.path']), attributes['code.filepath'], attributes['code.file.path']) AS code_file,
    if(empty(attributes['code.line.number']), attributes['code.lineno'], attributes['code.line.number']) AS code_line,
    if(empty(attributes['code.function.name']), attributes['code.function'], attributes['code.function.name']) AS code_function
FROM
(
    SELECT
        PatternKey AS key,
        Body AS body,
        EventName AS event_name,
        SeverityNumber AS severity_number,
        LogAttributes AS attributes
    FROM otel_logs
    WHERE Tenant = {tenant:String}
        AND _part IN {parts:Array(String)}
        AND ServiceName = {service:String}
        AND PatternKey IN {keys:Array(UInt64)}
    LIMIT 1 BY PatternKey
)
