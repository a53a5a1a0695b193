-- The stored ids of traces whose low 64 bits are given, from the trace index.
SELECT DISTINCT TraceId AS trace_id
FROM otel_traces_trace_id_ts
WHERE Tenant = {tenant:String}
    AND substring(TraceId, 17) IN {suffixes:Array(String)}
