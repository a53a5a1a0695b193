-- Which table it is (another one after it was dropped and made anew), and how its blocks are numbered.
SELECT toString(uuid) AS id, NOT startsWith(engine, 'Replicated') AND NOT startsWith(engine, 'Shared') AS ordered
FROM system.tables
WHERE database = {database:String} AND name = {table:String}
