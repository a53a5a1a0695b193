-- Takes or renews a lease, by the server's clock.
INSERT INTO graph_lease (Epoch, Owner, Expires)
SELECT {epoch:UInt64}, {owner:UInt64}, now64(3) + toIntervalMillisecond({lease_ms:UInt64})
