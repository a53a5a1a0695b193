SELECT table, name, type FROM system.columns
WHERE database = {database:String} AND default_kind NOT IN ('ALIAS', 'MATERIALIZED', 'EPHEMERAL')
