-- When the next matching log records happened: narrow, so that a page's exact time range is known
-- before anything wide is read.
SELECT toUnixTimestamp64Nano(Timestamp) AS time_ns
FROM otel_logs
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    --[seen]
    --[match]
--[order]
LIMIT {limit:UInt64}
