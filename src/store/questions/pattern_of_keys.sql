-- The patterns of given keys of given services.
SELECT toString(Service) AS service, PatternKey AS key, PatternId AS id
FROM log_patterns FINAL
WHERE Tenant = {tenant:String} AND Service IN {services:Array(String)} AND PatternKey IN {keys:Array(UInt64)}
