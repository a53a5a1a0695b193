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
    AND (startsWith(Sender, {p0:String}))
    AND (Reason = {p1:String})
    AND (ReceivedAt <= fromUnixTimestamp64Nano({p2:Int64}))
ORDER BY Timestamp DESC, cityHash64(BatchId, Sender, Signal, Reason, Outcome, Items, Example)
LIMIT {limit:UInt64} OFFSET {skip:UInt64}

-- tenant = Text("acme")
-- from = I64(1000)
-- to = I64(1501)
-- limit = U64(101)
-- skip = U64(2)
-- p0 = Text("10.0.0.1")
-- p1 = Text("too_large")
-- p2 = I64(3000)
