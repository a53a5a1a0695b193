SELECT count() FROM {database:Identifier}.incarnation WHERE Marker = {marker:UInt64}
