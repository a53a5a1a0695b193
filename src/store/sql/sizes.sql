SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS disk_bytes, count() AS parts
FROM system.parts WHERE database = {database:String} AND active
GROUP BY table ORDER BY table
