//! Shows the traps of the C interface that the engine room fences off (design section 4), with
//! the bare library, so that a test sees when an engine upgrade changes one of them.
//!
//! `engine_traps LIBRARY DIRECTORY TRAP`; prints what it saw.
#![allow(unsafe_code, clippy::print_stdout, clippy::unwrap_used)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::time::Duration;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

type Conn = *mut c_void;

struct Bare {
    library: Library,
    path: String,
}

impl Bare {
    fn function<F: Copy>(&self, name: &str) -> F {
        // SAFETY: every use names the signature of the public header.
        unsafe { *self.library.get(format!("{name}\0").as_bytes()).unwrap() }
    }

    fn signal_handlers(&self, enabled: c_int) {
        let set: unsafe extern "C" fn(c_int) = self.function("chdb_set_signal_handlers_enabled");
        // SAFETY: may be called at any time before the first connect.
        unsafe { set(enabled) };
    }

    fn connect(&self, more: &[String]) -> Option<*mut Conn> {
        let connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Conn = self.function("chdb_connect");
        let mut arguments = vec!["traps".to_owned(), format!("--path={}", self.path)];
        arguments.extend_from_slice(more);
        let owned: Vec<CString> = arguments.into_iter().map(|text| CString::new(text).unwrap()).collect();
        let mut pointers: Vec<*mut c_char> = owned.iter().map(|text| text.as_ptr().cast_mut()).collect();
        // SAFETY: argv lives for the call.
        let raw = unsafe { connect(pointers.len() as c_int, pointers.as_mut_ptr()) };
        (!raw.is_null()).then_some(raw)
    }

    /// Materialised, which the room itself never does for a SELECT.
    fn query(&self, connection: *mut Conn, sql: &[u8]) -> (Vec<u8>, String) {
        let query: unsafe extern "C" fn(Conn, *const c_char, usize, *const c_char, usize) -> *mut c_void =
            self.function("chdb_query_n");
        let buffer: unsafe extern "C" fn(*mut c_void) -> *const u8 = self.function("chdb_result_buffer");
        let length: unsafe extern "C" fn(*mut c_void) -> usize = self.function("chdb_result_length");
        let error: unsafe extern "C" fn(*mut c_void) -> *const c_char = self.function("chdb_result_error");
        // SAFETY: live connection, matching lengths; the result is leaked, the process is short.
        unsafe {
            let result = query(*connection, sql.as_ptr().cast(), sql.len(), c"TSV".as_ptr(), 3);
            let text = error(result);
            let text = if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into() };
            let (start, bytes) = (buffer(result), length(result));
            let output = if bytes == 0 { Vec::new() } else { std::slice::from_raw_parts(start, bytes).to_vec() };
            (output, text)
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // SAFETY: loading the engine is what this program is for.
    let library = unsafe { Library::open(Some(&arguments[1]), RTLD_NOW | RTLD_LOCAL) }.unwrap();
    let bare = Bare { library, path: arguments[2].clone() };
    match arguments[3].as_str() {
        "inline-insert" => inline_insert(&bare),
        "stale-output" => stale_output(&bare),
        "config-pickup" => config_pickup(&bare),
        "signals-default" => signals(&bare, None),
        "signals-off" => signals(&bare, Some(0)),
        "exit-busy" => return exit_busy(bare),
        trap => println!("unknown trap {trap}"),
    }
    leave()
}

fn leave() -> ! {
    use std::io::Write;
    let _ = std::io::stdout().flush();
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) }
}

fn inline_insert(bare: &Bare) {
    bare.signal_handlers(0);
    let connection = bare.connect(&[]).unwrap();
    bare.query(connection, b"CREATE DATABASE d");
    bare.query(connection, b"CREATE TABLE d.t (a String) ENGINE = MergeTree ORDER BY a");
    let (output, _) = bare.query(connection, b"INSERT INTO d.t FORMAT TSV\nx\n\nSELECT 7");
    println!("payload ran as SQL: {}", output == b"7\n");
}

fn stale_output(bare: &Bare) {
    bare.signal_handlers(0);
    let connection = bare.connect(&[]).unwrap();
    let (_, error) = bare.query(connection, b"SELECT number, throwIf(number = 3000000) FROM numbers(4000000)");
    let (output, _) = bare.query(connection, b"SELECT 1");
    println!("failed: {}", error.contains("395"));
    println!("next answer holds the failed one's bytes: {}", output.len() > 2);
}

fn config_pickup(bare: &Bare) {
    bare.signal_handlers(0);
    std::fs::create_dir_all(&bare.path).unwrap();
    let own = format!("{}/own.xml", bare.path);
    std::fs::write(&own, "<clickhouse></clickhouse>").unwrap();
    println!("opens with a stray config.xml: {}", bare.connect(&[]).is_some());
    println!("opens with --config-file: {}", bare.connect(&[format!("--config-file={own}")]).is_some());
}

fn signals(bare: &Bare, enabled: Option<c_int>) {
    enabled.into_iter().for_each(|enabled| bare.signal_handlers(enabled));
    bare.connect(&[]).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    println!("catches SIGABRT: {}", mask & (1 << (libc::SIGABRT - 1)) != 0);
}

fn exit_busy(bare: Bare) {
    bare.signal_handlers(0);
    let bare: &'static Bare = Box::leak(Box::new(bare));
    let first = bare.connect(&[]).unwrap();
    bare.query(first, b"CREATE DATABASE d");
    bare.query(first, b"CREATE TABLE d.t (n UInt64) ENGINE = MergeTree ORDER BY n");
    for _ in 0..3 {
        let connection = bare.connect(&[]).unwrap() as usize;
        std::thread::spawn(move || {
            loop {
                bare.query(connection as *mut Conn, b"INSERT INTO d.t SELECT number FROM numbers(1000)");
                bare.query(connection as *mut Conn, b"SELECT n, count() FROM d.t GROUP BY n ORDER BY n LIMIT 10");
            }
        });
    }
    std::thread::sleep(Duration::from_millis(500));
    // Returning from main is the trap.
}
