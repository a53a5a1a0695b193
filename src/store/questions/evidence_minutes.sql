-- How the rolled-up minutes of a window were: enough to tell usual ones from others. `slow_ns` is the geometric mean of
-- the durations of what entered services, by the buckets of the graph's histograms (40 an octave).
SELECT
    toInt64(intDiv(toUnixTimestamp(Minute), 60)) AS minute,
    Spans AS spans,
    toUInt64(arraySum(`Nodes.Errors`)) AS errors,
    toUInt64(exp2(arraySum(arrayMap((buckets, counts) -> arraySum(arrayMap((bucket, count) -> bucket * count, buckets, counts)), `Nodes.Buckets`, `Nodes.Counts`))
        / greatest(arraySum(arrayMap(counts -> arraySum(counts), `Nodes.Counts`)), 1) / 40)) AS slow_ns
FROM graph_minutes FINAL
WHERE Tenant = {tenant:String}
    AND Minute >= toDateTime(intDiv({from:Int64}, 1000000000))
    AND Minute < toDateTime(intDiv({to:Int64}, 1000000000))
ORDER BY minute
