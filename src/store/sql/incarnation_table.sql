CREATE TABLE IF NOT EXISTS {database:Identifier}.incarnation (Marker UInt64) ENGINE = Memory SETTINGS max_rows_to_keep = 1000, min_rows_to_keep = 0
