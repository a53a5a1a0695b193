-- The records of a kind of all tenants, oldest first: for the process itself.
SELECT Tenant AS tenant, Id AS id, toUnixTimestamp64Nano(At) AS at_ns, Body AS body
FROM records FINAL
WHERE Kind = {kind:String} AND NOT Deleted
ORDER BY At, Id
LIMIT {limit:UInt64}
