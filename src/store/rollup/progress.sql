-- Which blocks are rolled up.
SELECT Partition AS partition, First AS first, Last AS last
FROM graph_progress FINAL
WHERE TableId = {table:String} AND notEmpty(First)
