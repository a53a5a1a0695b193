-- What is known of a service's keys, without their texts.
SELECT
    PatternKey AS key,
    PatternId AS id,
    toUnixTimestamp64Nano(FirstSeen) AS first_ns,
    toUnixTimestamp64Nano(WrittenAt) AS written_ns
FROM log_patterns FINAL
WHERE Tenant = {tenant:String} AND Service = {service:String}
