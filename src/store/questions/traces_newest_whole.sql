-- The same where the whole trace has to meet conditions too: reads an hour around the window
-- (`wide_from`, `wide_to`) to see the traces' other spans. traces_summary.sql has the last word.
WITH
    (
        Timestamp >= fromUnixTimestamp64Nano({from:Int64})
        AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
        --[seen]
        --[span]
    ) AS matching,
    toUInt64(toUnixTimestamp64Nano(Timestamp)) AS began,
    toUInt64(max(began + least(Duration, 4000000000000000000)) - min(began)) AS duration_ns,
    countIf(StatusCode = 'Error') AS errors
SELECT
    TraceId AS trace_id,
    toUnixTimestamp64Nano(minIf(Timestamp, matching)) AS key_ns
FROM otel_traces
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({wide_from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({wide_to:Int64})
GROUP BY trace_id
HAVING countIf(matching) > 0
    AND (key_ns, trace_id) < ({before_ns:Int64}, {before_id:String})
    --[trace]
ORDER BY key_ns DESC, trace_id DESC
LIMIT {limit:UInt64}
