-- What an id stands for now: it leads to a key that had it once, or is a key itself.
SELECT toString(Service) AS service, PatternId AS id, max(PatternKey = {rest:UInt64}) AS is_rest
FROM log_patterns FINAL
WHERE Tenant = {tenant:String}
    AND
    (
        PatternId = {id:UInt64}
        OR PatternKey = {id:UInt64}
        OR (Service, PatternKey) IN
        (
            SELECT Service, PatternKey
            FROM log_pattern_ids FINAL
            WHERE Tenant = {tenant:String} AND PatternId = {id:UInt64}
        )
    )
GROUP BY service, id
ORDER BY service, id
