-- How far the rows of a table reach in time. Answered from the parts' extremes, without reading rows;
-- therefore over all tenants, and used only to clip windows.
SELECT
    count() AS rows,
    toUnixTimestamp64Nano(min(Timestamp)) AS first_ns,
    toUnixTimestamp64Nano(max(Timestamp)) AS last_ns
FROM otel_traces
