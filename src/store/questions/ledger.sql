-- The loss ledger of a window, newest first: what was refused, altered, repeated or set aside.
SELECT
    toUnixTimestamp64Nano(Timestamp) AS time_ns,
    toString(Sender) AS sender,
    toString(Signal) AS signal,
    toString(Reason) AS reason,
    toString(Outcome) AS outcome,
    Items AS items,
    Example AS example
FROM loss_ledger
WHERE Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64})
    --[match]
ORDER BY Timestamp DESC, cityHash64(BatchId, Sender, Signal, Reason, Outcome, Items, Example)
LIMIT {limit:UInt64} OFFSET {skip:UInt64}
