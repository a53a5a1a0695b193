//! The outside reader: reads, and nothing else.

use std::time::Duration;

use crate::support::{Engine, encode};

// Scenario: everything an outsider might try with SQL, at the outside port.
// Guarantee: reads of our tables work; files, networks, writes, control and limits are refused,
// and nothing has changed afterwards.
#[test]
fn reads_and_nothing_else() {
    let mut engine = Engine::start();
    let own = engine.own();
    own.sql("CREATE TABLE t ENGINE = MergeTree ORDER BY n AS SELECT number AS n FROM numbers(10)").ok();
    let reader = engine.reader();
    for (parameters, sql, expected) in [
        ("", "SELECT count() FROM t", "10"),
        ("", "SELECT count() FROM hypocenter.t", "10"),
        ("database=default", "SELECT count() FROM t", "10"),
        ("", "SELECT sum(number) FROM numbers(4)", "6"),
        ("", "SHOW TABLES", "t"),
        ("", "EXISTS TABLE t", "1"),
        ("param_x=5", "SELECT {x:UInt8}", "5"),
        ("param_t=t", "SELECT count() FROM {t:Identifier}", "10"),
        ("", "SELECT 'é', 'file(', \"n\" FROM t LIMIT 1 -- file(", "é\tfile(\t0"),
        ("session_id=s", "SELECT 1", "1"),
        (
            "readonly=0&max_memory_usage=0&max_execution_time=0&max_threads=99",
            "SELECT getSetting('readonly'), getSetting('max_memory_usage'), getSetting('max_execution_time'), getSetting('max_threads')",
            "1\t536870912\t30\t2",
        ),
        (
            "max_execution_time=5&max_result_rows=7",
            "SELECT getSetting('max_execution_time'), getSetting('max_result_rows')",
            "5\t7",
        ),
        (
            "format_template_resultset=/etc/passwd&output_format_schema=/tmp/x&format_schema=/etc/passwd",
            "SELECT getSetting('format_template_resultset')",
            "",
        ),
    ] {
        assert_eq!(reader.sql_with(parameters, sql).ok(), expected, "{parameters} {sql}");
    }
    let outside = engine.dir.path().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    let outside = outside.display().to_string();
    for sql in [
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t SELECT 1",
        "INSERT INTO FUNCTION file('FILE.2') SELECT 1",
        "CREATE TABLE x (a UInt8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE x (a UInt8)",
        "CREATE FUNCTION f AS x -> x",
        "DROP TABLE t",
        "TRUNCATE TABLE t",
        "ALTER TABLE t DELETE WHERE 1",
        "DELETE FROM t WHERE 1",
        "OPTIMIZE TABLE t",
        "SYSTEM STOP MERGES",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
        "SET readonly = 0",
        "USE default",
        "BACKUP DATABASE hypocenter TO File('FILE.2')",
        "ATTACH TABLE t",
        "DETACH TABLE t",
        "SELECT 1 INTO OUTFILE 'FILE.2'",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1; DROP TABLE t",
        "SELECT 1 PARALLEL WITH DROP TABLE t",
        "SELECT file('FILE')",
        "SELECT `file`('FILE')",
        "SELECT \"file\" /* ( */ ('FILE')",
        "SELECT `fi\\x6ce`('FILE')",
        "SELECT FILE('FILE')",
        "SELECT * APPLY file FROM (SELECT 'FILE')",
        "SELECT * APPLY(file) FROM (SELECT 'FILE')",
        "SELECT * APPLY(x -> file(x)) FROM (SELECT 'FILE')",
        "SELECT \u{2018} ' \u{2019}, file('FILE'), \u{2018} ' \u{2019}",
        "SELECT $$ ' $$, file('FILE'), ' $$'",
        "SELECT * FROM file('FILE', 'LineAsString')",
        "DESCRIBE TABLE file('FILE')",
        "DESCRIBE TABLE url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT * FROM s3('http://127.0.0.1:1/a/b')",
        "SELECT * FROM executable('ls', 'TSV', 'a String')",
        "SELECT * FROM sqlite('FILE', 'x')",
        "SELECT * FROM icebergLocal('FILE')",
        "SELECT * FROM default.`FILE`",
        "SELECT * FROM \"default\" . `FILE`",
        "EXISTS TABLE default.`FILE`",
        "DESCRIBE default.`FILE`",
        "SELECT hasColumnInTable('127.0.0.1:1', 'a', 'b', 'c')",
        "SELECT catboostEvaluate('FILE', 1)",
        "EXPLAIN SELECT * FROM file('FILE', 'LineAsString')",
        "WITH (SELECT file('FILE')) AS x SELECT x",
        "SELECT addressToLine(1)",
    ] {
        let answer = reader.sql(&sql.replace("FILE", &outside).replace("FILE.2", &format!("{outside}.2")));
        let text = answer.text();
        assert!(!text.contains("secret"), "{sql}: {text}");
        assert!(matches!(answer.code(), 62 | 164 | 446 | 497), "{sql}: {text}");
        // Only the engine's own refusals are 500, as ClickHouse answers them.
        assert!(matches!(answer.status, 400 | 403 | 500), "{sql}: {text}");
    }
    let by_parameter = format!("param_d=default&param_t={}", encode(&outside));
    assert_eq!(reader.sql_with(&by_parameter, "EXISTS TABLE {d:Identifier}.{t:Identifier}").code(), 164);
    assert_eq!(reader.insert("INSERT INTO t FORMAT CSV", b"1\n").code(), 164);
    assert_eq!(own.sql("SELECT count() FROM t").ok(), "10");
    assert!(!std::path::Path::new(&format!("{outside}.2")).exists());
    engine.stop();
}

// Scenario: queries over the reader's memory, time and result limits.
// Guarantee: each ends with ClickHouse's own code for it.
#[test]
fn limits_hold() {
    let mut engine = Engine::start_with(|config| {
        config.reader_limits.memory_bytes_max = 20 << 20;
        config.reader_limits.execution_time_s_max = 4;
        config.reader_limits.result_rows_max = 1000;
    });
    let reader = engine.reader();
    assert_eq!(reader.sql("SELECT groupArray(number) FROM numbers(100000000)").code(), 241);
    assert_eq!(reader.sql("SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))").code(), 159);
    assert_eq!(reader.sql("SELECT number FROM numbers(1001)").code(), 396);
    assert_eq!(reader.sql("SELECT number FROM numbers(3)").ok(), "0\n1\n2");
    engine.stop();
}

// Scenario: many slow outside queries at once, more than may wait.
// Guarantee: our own inserts and queries go on; the surplus is refused as retryable.
#[test]
fn slow_outsiders_hold_up_nobody() {
    let mut engine = Engine::start_with(|config| config.reader_limits.execution_time_s_max = 3);
    let (own, reader) = (engine.own(), engine.reader());
    own.sql("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").ok();
    let slow: Vec<_> = (0..60)
        .map(|_| {
            let reader = reader.clone();
            std::thread::spawn(move || {
                let stop = std::panic::catch_unwind(|| {
                    reader.sql("SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))").status
                });
                stop.unwrap_or(0)
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    for number in 0..20u64 {
        own.insert("INSERT INTO t FORMAT RowBinary", &number.to_le_bytes()).ok();
        assert_eq!(own.sql("SELECT max(n) FROM t").ok(), number.to_string());
    }
    // The engine ends with all of them still there.
    engine.stop();
    let statuses: Vec<u16> = slow.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(statuses.contains(&503), "{statuses:?}");
}
