SELECT DISTINCT BatchId FROM {database:Identifier}.{table:Identifier}
WHERE BatchId IN {batches:Array(UInt128)}
    AND {time:Identifier} >= fromUnixTimestamp64Nano({from:Int64})
    AND {time:Identifier} <= fromUnixTimestamp64Nano({to:Int64})
