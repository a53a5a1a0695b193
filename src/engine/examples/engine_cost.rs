//! What the child process and its HTTP interface cost: the same Native blocks inserted, and the
//! same point query asked, through the bare library in this process and through the `clickhouse`
//! crate and the supervised child, interleaved.
//!
//! `HYPOCENTER_ENGINE_LIB=… cargo run --example engine_cost [BLOCKS] [ROWS]`
#![allow(unsafe_code, clippy::print_stdout, clippy::unwrap_used)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::time::Instant;

use bytes::Bytes;
use clickhouse::{Client, Compression};
use engine::{Supervisor, SupervisorConfig};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

const TABLE: &str = "CREATE TABLE hypocenter.spans (Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, \
     ServiceName LowCardinality(String), SpanName LowCardinality(String), Duration UInt64, \
     ResourceAttributes Map(LowCardinality(String), String), \
     SpanAttributes Map(LowCardinality(String), String)) ENGINE = MergeTree \
     ORDER BY (toStartOfFiveMinutes(Timestamp), TraceId)";
const ROWS: &str = "SELECT toDateTime64('2026-01-01 00:00:00', 9) + number / 1000 AS Timestamp, \
     lower(hex(sipHash128(number, SEED))) AS TraceId, lower(hex(sipHash64(number, SEED))) AS SpanId, lower(hex(sipHash64(number, 7))) AS ParentSpanId, \
     concat('service-', toString(number % 40))::LowCardinality(String) AS ServiceName, \
     concat('operation-', toString(number % 10))::LowCardinality(String) AS SpanName, rand64() % 1000000000 AS Duration, \
     map('service.name', concat('service-', toString(number % 40)), 'service.version', '1.2.3', 'host.name', \
     concat('host-', toString(number % 20)), 'k8s.pod.name', concat('pod-', toString(number % 200)), 'os.type', 'linux', \
     'telemetry.sdk.language', 'java')::Map(LowCardinality(String), String) AS ResourceAttributes, \
     map('http.route', concat('/api/', toString(number % 50)), 'http.status_code', '200', 'peer.address', \
     concat('10.0.0.', toString(number % 250)), 'thread.id', toString(number % 64), 'user.id', toString(rand())) \
     ::Map(LowCardinality(String), String) AS SpanAttributes FROM numbers(COUNT)";

/// CPU seconds of a process, all threads.
fn cpu(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

struct Bare {
    library: Library,
    connection: *mut c_void,
}

impl Bare {
    fn open(path: &str, data_dir: &str) -> Self {
        // SAFETY: signatures of the public header; all strings live for their calls.
        unsafe {
            let library = Library::open(Some(path), RTLD_NOW | RTLD_LOCAL).unwrap();
            let off = *library.get::<unsafe extern "C" fn(c_int)>(b"chdb_set_signal_handlers_enabled\0").unwrap();
            off(0);
            let connect = *library
                .get::<unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut *mut c_void>(b"chdb_connect\0")
                .unwrap();
            let arguments = [c"cost".to_owned(), CString::new(format!("--path={data_dir}")).unwrap()];
            let mut pointers: Vec<_> = arguments.iter().map(|text| text.as_ptr().cast_mut()).collect();
            let connection = *connect(2, pointers.as_mut_ptr());
            Self { library, connection }
        }
    }

    fn run(&self, sql: &str) {
        type Query = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize) -> *mut c_void;
        // SAFETY: as above.
        unsafe {
            let query = *self.library.get::<Query>(b"chdb_query_n\0").unwrap();
            let destroy =
                *self.library.get::<unsafe extern "C" fn(*mut c_void)>(b"chdb_destroy_query_result\0").unwrap();
            destroy(query(self.connection, sql.as_ptr().cast(), sql.len(), c"TSV".as_ptr(), 3));
        }
    }

    fn insert(&self, data: &[u8]) {
        type Open = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;
        type Append = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> c_int;
        // SAFETY: as above.
        unsafe {
            let open = *self.library.get::<Open>(b"chdb_stream_insert\0").unwrap();
            let append = *self.library.get::<Append>(b"chdb_stream_append\0").unwrap();
            let done =
                *self.library.get::<unsafe extern "C" fn(*mut c_void) -> *mut c_void>(b"chdb_stream_done\0").unwrap();
            let destroy =
                *self.library.get::<unsafe extern "C" fn(*mut c_void)>(b"chdb_destroy_insert_stream\0").unwrap();
            let stream = open(self.connection, c"INSERT INTO hypocenter.spans".as_ptr(), c"Native".as_ptr());
            assert_eq!(append(stream, data.as_ptr().cast(), data.len()), 0);
            done(stream);
            destroy(stream);
        }
    }
}

fn main() {
    let number = |at: usize, default: usize| std::env::args().nth(at).map_or(default, |text| text.parse().unwrap());
    let (blocks, rows) = (number(1, 40), number(2, 50_000));
    let library = std::env::var("HYPOCENTER_ENGINE_LIB").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap().with_file_name("engine_serve");
    let mut config = SupervisorConfig::new(program, library.clone().into(), dir.path().join("child"));
    config.arguments.clear();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let supervisor = runtime.block_on(async { Supervisor::start(config) });
    let address = runtime.block_on(supervisor.ready()).unwrap();
    let client = Client::default()
        .with_url(&address.url)
        .with_user(&address.user)
        .with_password(&address.password)
        .with_database("hypocenter")
        .with_compression(Compression::None);
    let bare = Bare::open(&library, dir.path().join("bare").to_str().unwrap());
    bare.run("CREATE DATABASE hypocenter");
    bare.run(TABLE);
    bare.run("SYSTEM STOP MERGES");
    let data: Bytes = runtime.block_on(async {
        client.query(TABLE).execute().await.unwrap();
        client.query("SYSTEM STOP MERGES").execute().await.unwrap();
        let sql = ROWS.replace("SEED", "1").replace("COUNT", &rows.to_string());
        let sql = format!("{sql} SETTINGS max_block_size = {rows}");
        client.query(&sql).fetch_bytes("Native").unwrap().collect().await.unwrap()
    });
    let pid = address.pid.to_string();
    let (mut bare_cpu, mut child_cpu, mut client_cpu, mut bare_s, mut child_s) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for _ in 0..blocks {
        let (before, started) = (cpu("self"), Instant::now());
        bare.insert(&data);
        bare_s += started.elapsed().as_secs_f64();
        bare_cpu += cpu("self") - before;
        let (before, before_child, started) = (cpu("self"), cpu(&pid), Instant::now());
        runtime.block_on(async {
            let mut insert = client.insert_formatted_with("INSERT INTO spans FORMAT Native");
            insert.send(data.clone()).await.unwrap();
            insert.end().await.unwrap();
        });
        child_s += started.elapsed().as_secs_f64();
        child_cpu += cpu(&pid) - before_child;
        client_cpu += cpu("self") - before;
    }
    let millions = (blocks * rows) as f64 / 1e6;
    println!("{blocks} blocks of {rows} rows, {} bytes each; CPU-s per million rows, ms per block", data.len());
    println!("bare library: {:.2}, {:.1} ms", bare_cpu / millions, bare_s * 1e3 / blocks as f64);
    println!(
        "child process: {:.2} ({:.2} child + {:.2} client), {:.1} ms",
        (child_cpu + client_cpu) / millions,
        child_cpu / millions,
        client_cpu / millions,
        child_s * 1e3 / blocks as f64
    );
    let started = Instant::now();
    for _ in 0..1000 {
        bare.run("SELECT 1");
    }
    println!("bare SELECT 1: {:.2} ms", started.elapsed().as_secs_f64());
    let started = Instant::now();
    runtime.block_on(async {
        for _ in 0..1000 {
            client.query("SELECT 1").fetch_one::<u8>().await.unwrap();
        }
    });
    println!("child SELECT 1: {:.2} ms", started.elapsed().as_secs_f64());
    runtime.block_on(supervisor.stop());
    drop(runtime);
    drop(dir);
    // SAFETY: ends the process; the bare library forbids any other way.
    unsafe { libc::_exit(0) }
}
