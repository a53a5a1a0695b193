-- The services whose patterns were made by other rules.
SELECT DISTINCT Tenant AS tenant, Service AS service
FROM log_patterns FINAL
WHERE Rule != {rule:UInt16}
