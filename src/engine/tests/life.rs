//! Life and death of the engine process.

use std::time::Duration;

use crate::support::{Engine, config};

fn alive(pid: u32) -> bool {
    // A zombie is dead for us.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("Z").trim_start().starts_with('Z'))
}

fn wait_until_dead(pid: u32) {
    for _ in 0..600 {
        if !alive(pid) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("process {pid} is still there");
}

fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

// Scenario: rows are acknowledged, the engine is killed with SIGKILL, twice.
// Guarantee: the supervisor starts it again at the same address, with every acknowledged row.
#[test]
fn comes_back_after_kill_9() {
    let mut engine = Engine::start();
    let url = engine.address.url.clone();
    engine.own().sql("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").ok();
    for round in 1..=2u64 {
        engine.own().insert("INSERT INTO t FORMAT RowBinary", &round.to_le_bytes()).ok();
        kill(engine.address.pid, rustix::process::Signal::KILL);
        engine.wait_for_restart();
        assert_eq!(engine.address.url, url);
        assert_eq!(
            engine.own().sql("SELECT count(), sum(n) FROM t").ok(),
            format!("{round}\t{}", round * (round + 1) / 2)
        );
    }
    engine.stop();
}

// Scenario: stop, with a query and an open session still there.
// Guarantee: the process ends by itself, without a crash, and the directory opens again.
#[test]
fn stops_cleanly_while_busy() {
    let mut engine = Engine::start();
    let client = engine.own();
    client.sql_with("session_id=s", "CREATE TEMPORARY TABLE x (a UInt8)").ok();
    let busy = std::thread::spawn(move || {
        client.sql("SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))")
    });
    let own = engine.own();
    while own
        .sql("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%system%'")
        .ok()
        == "0"
    {}
    let pid = engine.address.pid;
    let states = engine.supervisor.as_ref().unwrap().state();
    engine.stop();
    assert!(!alive(pid));
    match &*states.borrow() {
        engine::State::Down { reason, .. } => assert_eq!(reason, "stopped"),
        state => panic!("{state:?}"),
    }
    drop(busy);
}

// Scenario: a second engine is started on a directory that one has open, also by another spelling.
// Guarantee: it ends at once with its own exit code and says why; the first is untouched.
#[test]
fn second_process_on_a_directory_is_refused() {
    let mut engine = Engine::start();
    let data_dir = engine.dir.path().join("engine data").join("..").join("engine data");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let second = runtime.block_on(async { engine::Supervisor::start(config(&data_dir)) });
    let reason = runtime.block_on(second.ready()).unwrap_err();
    assert!(reason.contains("in use by another process"), "{reason}");
    runtime.block_on(second.stop());
    assert_eq!(engine.own().sql("SELECT 1").ok(), "1");
    engine.stop();
}

// Scenario: the parent goes away without a word (its end of the pipe closes).
// Guarantee: the engine process ends by itself.
#[test]
fn ends_with_its_parent() {
    use std::io::{BufRead, BufReader, Write};
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(crate::support::program())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let config = serde_json::json!({
        "library": crate::support::library(), "data_dir": dir.path(), "password": "p", "watch_parent": true
    });
    writeln!(stdin, "{config}").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("\"ready\""), "{line}");
    drop(stdin);
    wait_until_dead(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

// Scenario: the library is missing, or is not the engine.
// Guarantee: the reason names the file and says what to do; the supervisor keeps trying.
#[test]
fn says_what_to_do_without_the_library() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (library, expected) in [("/nowhere/libchdb.so", "is missing"), ("/proc/self/exe", "cannot be loaded")] {
        let mut config = config(dir.path());
        config.library = library.into();
        let supervisor = runtime.block_on(async { engine::Supervisor::start(config) });
        let reason = runtime.block_on(supervisor.ready()).unwrap_err();
        assert!(reason.contains(expected) && reason.contains("hypocenter engine install"), "{reason}");
        runtime.block_on(supervisor.stop());
    }
}

// Scenario: the engine process is stopped (SIGSTOP) while its parent asks often, then it is busy with long queries on all lanes.
// Guarantee: the hung process is killed and started again with its rows; the busy one is left alone.
#[test]
fn hung_process_is_replaced_and_busy_one_is_not() {
    let often =
        engine::PulseConfig { every: Duration::from_millis(100), patience: Duration::from_secs(2), misses_max: 3 };
    let mut engine = Engine::start_with(|config| config.pulse = often);
    engine.own().sql("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").ok();
    engine.own().insert("INSERT INTO t FORMAT RowBinary", &7u64.to_le_bytes()).ok();
    kill(engine.address.pid, rustix::process::Signal::STOP);
    engine.wait_for_restart();
    assert_eq!(engine.own().sql("SELECT n FROM t").ok(), "7");

    let pid = engine.address.pid;
    let busy: Vec<_> = (0..16)
        .map(|_| {
            let client = engine.own();
            std::thread::spawn(move || client.sql("SELECT sleepEachRow(1) FROM numbers(8) SETTINGS max_block_size = 1"))
        })
        .collect();
    for query in busy {
        let _ = query.join();
    }
    assert_eq!(engine.supervisor.as_ref().unwrap().pid(), Some(pid));
    engine.stop();
}

// Scenario: the reader's port is taken when the engine starts, and becomes free later.
// Guarantee: the engine itself is ready at once; the reader is served as soon as its port is free.
#[test]
fn taken_reader_port_does_not_hold_up_the_engine() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut engine = Engine::start_with(|config| config.reader_listen = Some(address));
    assert_eq!(engine.own().sql("SELECT 1").ok(), "1");
    assert_eq!(engine.address.reader_port, None);
    drop(taken);
    engine.address.reader_port = Some(address.port());
    while std::net::TcpStream::connect(address).is_err() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(engine.reader().sql("SELECT 2").ok(), "2");
    engine.stop();
}
