-- A body of each of given keys.
SELECT key, toValidUTF8(substring(body, 1, {bytes:UInt64})) AS example
FROM
(
    SELECT PatternKey AS key, Body AS body
    FROM otel_logs
    WHERE Tenant = {tenant:String}
        AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        AND PatternKey IN {keys:Array(UInt64)}
    LIMIT 1 BY PatternKey
)
