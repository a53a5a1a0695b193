INSERT INTO {database:Identifier}.incarnation SELECT {marker:UInt64}
