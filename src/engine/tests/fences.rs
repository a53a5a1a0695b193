//! The traps of the C interface, and that the room's way around each of them works.
//!
//! The first half runs the bare library and asserts that the trap is still there: when an engine
//! upgrade changes one, its fence can be thought over. The second half asserts the fence.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Engine, library, program};

fn trap(dir: &Path, name: &str) -> Output {
    let program = program().with_file_name("engine_traps");
    let mut child = Command::new(program)
        .arg(library())
        .arg(dir.join("store"))
        .arg(name)
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A trap may hang the process; that is an outcome like any other.
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

fn check(name: &str, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = trap(dir.path(), name);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), expected, "{name}");
}

// Scenario: insert data inside a statement, with a blank line in it.
// Guarantee: the bare library still cuts it there and runs the rest; through the server every
// byte of it is a row.
#[test]
fn inline_insert_data_is_never_given_to_the_engine() {
    check("inline-insert", "payload ran as SQL: true");
    let mut engine = Engine::start();
    let client = engine.own();
    client.sql("CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a").ok();
    let data = "x\n\nSELECT 7\n\n;DROP TABLE t;\n";
    for answer in [
        client.sql(&format!("INSERT INTO t FORMAT LineAsString\n{data}")),
        client.insert("INSERT INTO t FORMAT LineAsString", data.as_bytes()),
        client.sql(&format!("INSERT INTO t FORMAT TSV\n{data}")),
    ] {
        assert_eq!(answer.ok(), "");
    }
    assert_eq!(client.sql("SELECT countIf(a = ''), countIf(a = 'SELECT 7'), count() FROM t").ok(), "6\t3\t15");
    engine.stop();
}

// Scenario: a query fails in mid-output, then another runs, alone and in the same session.
// Guarantee: the bare library still answers the second with the first one's bytes; the server not.
#[test]
fn output_of_a_failed_query_is_never_seen_again() {
    check("stale-output", "failed: true\nnext answer holds the failed one's bytes: true");
    let mut engine = Engine::start();
    let client = engine.own();
    for sql in [
        "SELECT number, throwIf(number = 3000000) FROM numbers(4000000)",
        "SELECT number FROM numbers(4000000) SETTINGS max_result_rows = 3000000",
        "SELECT * FROM nowhere",
        "SELECT throwIf(1)",
        "SELEC 1",
    ] {
        for format in ["TSV", "JSONEachRow", "Native", "RowBinary"] {
            let parameters = format!("session_id=s&default_format={format}");
            let failed = client.sql_with(&parameters, sql);
            assert!(failed.status != 200 || !failed.whole, "{sql}");
            assert_eq!(client.sql_with("session_id=s", "SELECT 1").ok(), "1", "{sql}");
            assert_eq!(client.sql("SELECT 1").ok(), "1", "{sql}");
        }
    }
    engine.stop();
}

// Scenario: a stray, broken config.xml in the working directory.
// Guarantee: the bare library still trips over it; our process, started there, does not.
#[test]
fn stray_configuration_is_not_picked_up() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.xml"), "<clickhouse><broken").unwrap();
    let output = trap(dir.path(), "config-pickup");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim_end(), "opens with a stray config.xml: false\nopens with --config-file: true");

    let mut engine = Engine::start_with(|config| {
        // The process cannot be given a working directory; let a shell go there first.
        let program = config.program.clone();
        config.program = "/bin/sh".into();
        let script = format!("cd '{}' && exec '{}'", dir.path().display(), program.display());
        config.arguments = vec!["-c".to_owned(), script];
    });
    assert_eq!(engine.own().sql("SELECT 1").ok(), "1");
    engine.stop();
}

// Scenario: the library is opened with and without its signal handlers.
// Guarantee: it still takes SIGABRT by default, and leaves it alone when told; our process has it
// at its default, so that a fault ends it instead of hanging it.
#[test]
fn signal_handlers_are_off() {
    check("signals-default", "catches SIGABRT: true");
    check("signals-off", "catches SIGABRT: false");
    let mut engine = Engine::start();
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.address.pid)).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    assert_eq!(caught & (1 << 5), 0, "SIGABRT must not be caught");
    engine.stop();
}

// Scenario: main returns while queries run.
// Guarantee: the bare library still crashes or hangs there (our way out is in the tests of life).
#[test]
fn returning_while_busy_is_no_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let output = trap(dir.path(), "exit-busy");
    assert!(!output.status.success(), "a clean end while busy: `_exit` may no longer be needed");
}

// Scenario: requests that name no database.
// Guarantee: they run in our own database, not in `default`, which overlays the file system.
#[test]
fn own_database_is_the_default() {
    let mut engine = Engine::start();
    let client = engine.own();
    assert_eq!(client.sql("SELECT currentDatabase()").ok(), "hypocenter");
    let sql = "SELECT engine FROM system.databases WHERE name IN ('hypocenter', 'default') ORDER BY name";
    assert_eq!(client.sql(sql).ok(), "Overlay\nAtomic");
    engine.stop();
}

// Scenario: the caps of the configuration.
// Guarantee: the engine runs with them.
#[test]
fn caps_are_in_force() {
    let mut engine = Engine::start_with(|config| {
        config.caps.memory_bytes_max = 700 << 20;
        config.caps.mark_cache_bytes = 33 << 20;
    });
    let client = engine.own();
    let sql = "SELECT name, value FROM system.server_settings WHERE name IN \
               ('max_server_memory_usage', 'mark_cache_size', 'background_pool_size', 'uncompressed_cache_size') ORDER BY name";
    assert_eq!(
        client.sql(sql).ok(),
        "background_pool_size\t2\nmark_cache_size\t34603008\nmax_server_memory_usage\t734003200\nuncompressed_cache_size\t0"
    );
    assert_eq!(client.sql("SELECT groupArray(number) FROM numbers(1000000000)").code(), 241);
    assert_eq!(client.sql("SELECT 1").ok(), "1");
    engine.stop();
}

// Scenario: the engine's configuration, on a disk with room.
// Guarantee: it takes no inserts and starts no merges when 64 MiB are left; on a full disk it writes parts that cannot be read.
#[test]
fn a_full_disk_is_kept_away() {
    let mut engine = Engine::start();
    let client = engine.own();
    let sql = "SELECT value FROM system.merge_tree_settings WHERE name = 'min_free_disk_bytes_to_perform_insert'";
    assert_eq!(client.sql(sql).ok(), "67108864");
    assert_eq!(client.sql("SELECT keep_free_space FROM system.disks WHERE name = 'default'").ok(), "67108864");
    engine.stop();
}
