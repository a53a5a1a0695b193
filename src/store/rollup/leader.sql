-- Who rolls, and whether the lease still holds.
SELECT Epoch AS epoch, Owner AS owner, max(Expires) > now64(3) AS alive
FROM graph_lease
GROUP BY epoch, owner
ORDER BY epoch DESC, owner
LIMIT 1
