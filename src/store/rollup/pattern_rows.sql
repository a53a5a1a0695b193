-- A service's keys whole: all, or those of given patterns.
SELECT
    Tenant,
    Service,
    PatternKey,
    PatternId,
    Template,
    EventName,
    SeverityNumber,
    CodeFile,
    CodeLine,
    CodeFunction,
    Example,
    KeyRule,
    Rule,
    toUnixTimestamp64Nano(FirstSeen) AS FirstSeen,
    toUnixTimestamp64Nano(LastSeen) AS LastSeen,
    toUnixTimestamp64Nano(WrittenAt) AS WrittenAt,
    Generation
FROM log_patterns FINAL
WHERE Tenant = {tenant:String} AND Service = {service:String}
    AND (empty({ids:Array(UInt64)}) OR PatternId IN {ids:Array(UInt64)})
ORDER BY PatternKey
