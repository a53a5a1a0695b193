-- The patterns of given keys of given services: what they look like, and since when they are known.
SELECT service, key, id, template, since_ns
FROM
(
    SELECT toString(Service) AS service, PatternKey AS key, PatternId AS id, Template AS template
    FROM log_patterns FINAL
    WHERE Tenant = {tenant:String} AND Service IN {services:Array(String)} AND PatternKey IN {keys:Array(UInt64)}
) AS keys
INNER JOIN
(
    SELECT toString(Service) AS service, PatternId AS id, toUnixTimestamp64Nano(min(FirstSeen)) AS since_ns
    FROM log_patterns FINAL
    WHERE Tenant = {tenant:String} AND Service IN {services:Array(String)}
    GROUP BY service, id
) AS patterns USING (service, id)
