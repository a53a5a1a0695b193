-- Minutes of the present reign that another wrote: a rival that had not noticed yet; and, when `rule` is given, those of other rules.
SELECT DISTINCT Tenant AS tenant, toInt64(intDiv(toUnixTimestamp(Minute), 60)) AS minute
FROM graph_minutes FINAL
WHERE (Generation >= {generation:UInt64} AND Writer != {writer:UInt64}) OR ({rule:UInt16} != 0 AND Rule != {rule:UInt16})
