SELECT count() FROM system.processes WHERE has({queries:Array(String)}, query_id)
