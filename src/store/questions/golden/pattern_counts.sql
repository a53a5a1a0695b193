SELECT
    service,
    pattern AS id,
    any(counted_key) AS key,
    max(kept) AS is_kept,
    sum(lines) AS logs,
    max(highest) AS severity,
    min(first) AS first_ns,
    max(last) AS last_ns,
    min(since) AS since_ns,
    count() OVER () AS patterns,
    sum(sum(lines)) OVER () AS all_logs
FROM
(
    SELECT
        counted.service AS service,
        counted.key AS counted_key,
        multiIf(known.id != 0, known.id, rest.id != 0, rest.id, counted.key) AS pattern,
        known.id != 0 OR rest.id != 0 AS kept,
        counted.lines AS lines,
        counted.highest AS highest,
        counted.first AS first,
        counted.last AS last,
        if(known.id != 0, known.since, rest.since) AS since
    FROM
    (
        SELECT
            service,
            key,
            count() AS lines,
            max(number) AS highest,
            min(time_ns) AS first,
            max(time_ns) AS last
        FROM
        (
            SELECT
                toString(ServiceName) AS service,
                PatternKey AS key,
                toUInt8(if(SeverityNumber > 0, SeverityNumber, transform(lower(SeverityText), ['trace', 'verbose', 'debug', 'fine', 'info', 'information', 'informational', 'notice', 'warn', 'warning', 'error', 'err', 'severe', 'crit', 'critical', 'alert', 'emerg', 'fatal', 'panic'], [1, 1, 5, 5, 9, 9, 9, 10, 13, 13, 17, 17, 17, 18, 21, 21, 24, 21, 24], 0))) AS number,
                toUnixTimestamp64Nano(Timestamp) AS time_ns
            FROM otel_logs
            WHERE Tenant = {tenant:String}
                AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
                AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
                AND PatternKey != 0
                AND (ServiceName = {p0:String})
                AND (toUInt8(if(SeverityNumber > 0, SeverityNumber, transform(lower(SeverityText), ['trace', 'verbose', 'debug', 'fine', 'info', 'information', 'informational', 'notice', 'warn', 'warning', 'error', 'err', 'severe', 'crit', 'critical', 'alert', 'emerg', 'fatal', 'panic'], [1, 1, 5, 5, 9, 9, 9, 10, 13, 13, 17, 17, 17, 18, 21, 21, 24, 21, 24], 0))) >= {p1:UInt8})
        )
        GROUP BY service, key
    ) AS counted
    LEFT ANY JOIN
    (
        SELECT toString(Service) AS service, PatternKey AS key, PatternId AS id, toUnixTimestamp64Nano(FirstSeen) AS since
        FROM log_patterns FINAL
        WHERE Tenant = {tenant:String}
    ) AS known ON counted.service = known.service AND counted.key = known.key
    LEFT ANY JOIN
    (
        SELECT toString(Service) AS service, PatternId AS id, toUnixTimestamp64Nano(FirstSeen) AS since
        FROM log_patterns FINAL
        WHERE Tenant = {tenant:String} AND PatternKey = {rest:UInt64}
    ) AS rest ON counted.service = rest.service
)
GROUP BY service, pattern
ORDER BY logs DESC, service, id
LIMIT {limit:UInt64}

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(2000)
-- rest = U64(18446744073709551615)
-- limit = U64(100)
-- p0 = Text("front")
-- p1 = U64(13)
