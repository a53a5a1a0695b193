-- What patterns look like: the template, and the log of the key that was seen last.
SELECT
    PatternId AS id,
    any(Template) AS template,
    any(Example) AS example,
    any((CodeFile, CodeLine, CodeFunction)) AS code
FROM log_patterns FINAL
WHERE Tenant = {tenant:String}
    AND PatternId IN {ids:Array(UInt64)}
    AND (Service, PatternKey) IN
    (
        SELECT Service, argMax(PatternKey, LastSeen)
        FROM log_patterns FINAL
        WHERE Tenant = {tenant:String} AND PatternId IN {ids:Array(UInt64)}
        GROUP BY Service, PatternId
    )
GROUP BY PatternId
