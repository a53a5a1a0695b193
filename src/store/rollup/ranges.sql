-- Where in time given traces lie.
SELECT TraceId AS trace_id, toInt64(toUnixTimestamp(min(Start))) AS first_s, toInt64(toUnixTimestamp(max(End))) AS last_s
FROM otel_traces_trace_id_ts
WHERE Tenant = {tenant:String} AND TraceId IN {ids:Array(String)}
GROUP BY trace_id
