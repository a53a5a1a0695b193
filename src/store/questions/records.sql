-- The records of a kind, newest first: all, or those with given ids.
SELECT Id AS id, toUnixTimestamp64Nano(At) AS at_ns, Body AS body
FROM records FINAL
WHERE Tenant = {tenant:String}
    AND Kind = {kind:String}
    AND NOT Deleted
    --[which]
ORDER BY At DESC, Id
LIMIT {limit:UInt64}
