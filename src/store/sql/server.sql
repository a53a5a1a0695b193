SELECT version() AS version, timezone() AS timezone,
    timezoneOffset(toDateTime(1704067200)) = 0 AND timezoneOffset(toDateTime(1719792000)) = 0 AS is_utc
