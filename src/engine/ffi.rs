//! The only unsafe code: libchdb's C interface, loaded at run time.
//!
//! The library is loaded with `dlopen` so that the program starts without it when a remote
//! ClickHouse is used. This module knows pointers, ownership and the traps of the C interface
//! (design section 4); it knows nothing of HTTP, users or settings. What it refuses to offer is
//! as important as what it offers: no inline inserts (the payload is cut at a blank line and the
//! rest runs as SQL) and no materialised selects (their buffers escape every memory limit, and
//! after a failure the next answer begins with the failed one's bytes).
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The engine version this room was measured with; any other is refused at load.
pub const ENGINE_VERSION: &str = "26.7.3";

/// Why the engine library could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No file at the path.
    #[error(
        "the engine library is missing at {0}: run `hypocenter engine install`, or set `storage.url` to use a remote ClickHouse"
    )]
    Missing(PathBuf),
    /// The file is there but cannot be loaded.
    #[error(
        "the engine library at {path} cannot be loaded ({reason}): run `hypocenter engine install`, or set `storage.url` to use a remote ClickHouse"
    )]
    Unloadable {
        /// Where it was looked for.
        path: PathBuf,
        /// What the dynamic linker said.
        reason: String,
    },
    /// Another release than the one all fences were measured with.
    #[error(
        "the engine library at {path} is version {found}, but this program needs {ENGINE_VERSION}: run `hypocenter engine install`"
    )]
    Version {
        /// Where it was found.
        path: PathBuf,
        /// The version it reports.
        found: String,
    },
}

/// A failure reported by the engine, in ClickHouse's own words (`Code: N. DB::Exception: …`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(pub String);

impl EngineError {
    /// Whether the statement is of a kind that only [`Connection::command`] runs. The engine
    /// says so after parsing and before running anything.
    pub fn is_not_streamable(&self) -> bool {
        self.code() == 36 && self.0.contains("Streaming query is not supported for query")
    }

    /// ClickHouse's error code, 1001 (`STD_EXCEPTION`) when the text carries none.
    pub fn code(&self) -> u32 {
        let digits = self.0.split("Code: ").nth(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            &rest[..end]
        });
        digits.and_then(|text| text.parse().ok()).unwrap_or(1001)
    }
}

/// What a statement would do, judged by the engine's own parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Analysis {
    /// Executable statements in the text; zero when it does not parse.
    pub statements: u32,
    /// Whether every one of them leaves no trace.
    pub read_only: bool,
}

/// Rows and bytes a finished insert wrote (materialized views included).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Rows written.
    pub rows: u64,
    /// Uncompressed bytes written.
    pub bytes: u64,
}

type Conn = *mut c_void;
type Res = *mut c_void;
type Stream = *mut c_void;

#[repr(C)]
struct AnalysisV1 {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

type StreamOpenParams = unsafe extern "C" fn(
    Conn,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> *mut c_void;

/// The functions used, resolved once; they stay valid because the library is never unloaded.
struct Functions {
    version: unsafe extern "C" fn() -> *const c_char,
    set_signal_handlers: unsafe extern "C" fn(c_int),
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Conn,
    close: unsafe extern "C" fn(*mut Conn),
    classify: unsafe extern "C" fn(Conn, *const c_char, usize, *const c_char, usize, *mut AnalysisV1) -> c_int,
    query_whole: StreamOpenParams,
    query_open: StreamOpenParams,
    query_fetch: unsafe extern "C" fn(Conn, Res) -> Res,
    query_cancel: unsafe extern "C" fn(Conn, Res),
    result_destroy: unsafe extern "C" fn(Res),
    result_buffer: unsafe extern "C" fn(Res) -> *mut c_char,
    result_length: unsafe extern "C" fn(Res) -> usize,
    result_error: unsafe extern "C" fn(Res) -> *const c_char,
    result_rows: unsafe extern "C" fn(Res) -> u64,
    result_bytes: unsafe extern "C" fn(Res) -> u64,
    storage_rows: unsafe extern "C" fn(Res) -> u64,
    storage_bytes: unsafe extern "C" fn(Res) -> u64,
    rows_written: unsafe extern "C" fn(Res) -> u64,
    bytes_written: unsafe extern "C" fn(Res) -> u64,
    insert_open: StreamOpenParams,
    insert_append: unsafe extern "C" fn(Stream, *const c_void, usize) -> c_int,
    insert_done: unsafe extern "C" fn(Stream) -> Res,
    insert_error: unsafe extern "C" fn(Stream) -> *const c_char,
    insert_destroy: unsafe extern "C" fn(Stream),
}

/// The loaded engine. One per process; never unloaded (its threads outlive every handle).
pub(crate) struct Library {
    functions: Functions,
    version: String,
}

impl Library {
    /// Loads the library, checks its version, and switches its signal handlers off (with them a
    /// fault in our own code hangs the process instead of ending it).
    pub(crate) fn load(path: &Path) -> Result<Arc<Self>, LoadError> {
        if !path.is_file() {
            return Err(LoadError::Missing(path.to_owned()));
        }
        let library = Self::resolve(path).map_err(|reason| LoadError::Unloadable { path: path.to_owned(), reason })?;
        if library.version != ENGINE_VERSION {
            return Err(LoadError::Version { path: path.to_owned(), found: library.version });
        }
        // SAFETY: takes an int, may be called at any time before the first connect.
        unsafe { (library.functions.set_signal_handlers)(0) };
        Ok(Arc::new(library))
    }

    fn resolve(path: &Path) -> Result<Self, String> {
        use libloading::os::unix::{Library as Dl, RTLD_LOCAL, RTLD_NOW};
        // SAFETY: running the library's initialisers is the point; its symbols stay local.
        let library = unsafe { Dl::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| error.to_string())?;
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the signature is that of the public header of the pinned version,
                // and the library is leaked below, so the pointer never dangles.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }.map_err(|error| error.to_string())?
            };
        }
        let functions = Functions {
            version: symbol!("chdb_version"),
            set_signal_handlers: symbol!("chdb_set_signal_handlers_enabled"),
            connect: symbol!("chdb_connect"),
            close: symbol!("chdb_close_conn"),
            classify: symbol!("chdb_classify_query_n"),
            query_whole: symbol!("chdb_query_with_params_n"),
            query_open: symbol!("chdb_stream_query_with_params_n"),
            query_fetch: symbol!("chdb_stream_fetch_result"),
            query_cancel: symbol!("chdb_stream_cancel_query"),
            result_destroy: symbol!("chdb_destroy_query_result"),
            result_buffer: symbol!("chdb_result_buffer"),
            result_length: symbol!("chdb_result_length"),
            result_error: symbol!("chdb_result_error"),
            result_rows: symbol!("chdb_result_rows_read"),
            result_bytes: symbol!("chdb_result_bytes_read"),
            storage_rows: symbol!("chdb_result_storage_rows_read"),
            storage_bytes: symbol!("chdb_result_storage_bytes_read"),
            rows_written: symbol!("chdb_result_rows_written"),
            bytes_written: symbol!("chdb_result_bytes_written"),
            insert_open: symbol!("chdb_stream_insert_with_params_n"),
            insert_append: symbol!("chdb_stream_append"),
            insert_done: symbol!("chdb_stream_done"),
            insert_error: symbol!("chdb_stream_insert_error"),
            insert_destroy: symbol!("chdb_destroy_insert_stream"),
        };
        // SAFETY: returns a pointer to a static, NUL-terminated string.
        let version = unsafe { CStr::from_ptr((functions.version)()) };
        let version = version.to_string_lossy().into_owned();
        std::mem::forget(library);
        Ok(Self { functions, version })
    }

    /// The error carried by a result, if any; a missing result is one too.
    fn check(&self, result: Res) -> Result<(), EngineError> {
        if result.is_null() {
            return Err(EngineError("Code: 1001. the engine returned no result".into()));
        }
        // SAFETY: result is live; the text is copied before anything else happens.
        match unsafe { text((self.functions.result_error)(result)) } {
            Some(error) => Err(EngineError(error)),
            None => Ok(()),
        }
    }

    /// Opens a connection. The first one opens the data directory named by `--path`; later ones
    /// share it and take only their own `--setting=value` arguments. `None`: the engine refused
    /// and gave its reason on standard error only.
    pub(crate) fn connect(self: &Arc<Self>, arguments: &[String]) -> Option<Connection> {
        let mut owned = vec![CString::new("hypocenter-engine").ok()?];
        for argument in arguments {
            owned.push(CString::new(argument.as_str()).ok()?);
        }
        let mut pointers: Vec<*mut c_char> = owned.iter().map(|text| text.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len()).ok()?;
        // SAFETY: argv is valid for the call; the engine copies what it keeps.
        let raw = unsafe { (self.functions.connect)(count, pointers.as_mut_ptr()) };
        if raw.is_null() {
            return None;
        }
        Some(Connection { library: self.clone(), raw })
    }
}

/// One engine connection: one statement at a time. Dropping it closes it.
pub(crate) struct Connection {
    library: Arc<Library>,
    raw: *mut Conn,
}

// SAFETY: the engine guards a connection with its own mutex and keeps no thread-local state
// between calls; `&mut self` everywhere keeps statements one at a time.
unsafe impl Send for Connection {}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: raw came from connect and is closed exactly once; no stream borrows it any more.
        unsafe { (self.library.functions.close)(self.raw) };
    }
}

impl Connection {
    fn handle(&self) -> Conn {
        // SAFETY: raw points to a live handle until drop.
        unsafe { *self.raw }
    }

    /// Judges `sql` without running it.
    pub(crate) fn classify(&mut self, sql: &[u8]) -> Analysis {
        let mut out = AnalysisV1 {
            struct_size: size_of::<AnalysisV1>() as u32,
            statement_count: 0,
            flags: 0,
            query_class: UNKNOWN_CLASS,
        };
        // SAFETY: lengths match the buffers, `out` is sized as it says, no target database.
        let state = unsafe {
            (self.library.functions.classify)(
                self.handle(),
                sql.as_ptr().cast(),
                sql.len(),
                std::ptr::null(),
                0,
                &raw mut out,
            )
        };
        let read_only = state == 0 && out.query_class == READ_ONLY_CLASS;
        Analysis { statements: if state == 0 { out.statement_count } else { 0 }, read_only }
    }

    /// Starts a statement: streamed where the engine can, which is every SELECT; whole otherwise
    /// (DDL, SET, USE, KILL, SHOW, EXPLAIN, INSERT … SELECT), where outputs are small.
    pub(crate) fn start(
        &mut self,
        sql: &[u8],
        format: &str,
        params: &[(String, String)],
    ) -> Result<Output<'_>, EngineError> {
        match self.open_stream(sql, format, params) {
            Ok(raw) => Ok(Output::Stream(Select { connection: self, raw, live: true })),
            Err(error) if error.is_not_streamable() => self.command(sql, format, params).map(Output::Whole),
            Err(error) => Err(error),
        }
    }

    /// Starts a SELECT whose output is fetched piece by piece.
    pub(crate) fn query(
        &mut self,
        sql: &[u8],
        format: &str,
        params: &[(String, String)],
    ) -> Result<Select<'_>, EngineError> {
        let raw = self.open_stream(sql, format, params)?;
        Ok(Select { connection: self, raw, live: true })
    }

    fn open_stream(&mut self, sql: &[u8], format: &str, params: &[(String, String)]) -> Result<Res, EngineError> {
        let params = Params::new(params);
        // SAFETY: all lengths match their buffers, which outlive the call.
        let raw = unsafe { params.open(self.library.functions.query_open, self.handle(), sql, format) };
        self.library.check(raw).inspect_err(|_| {
            if !raw.is_null() {
                // SAFETY: a failed stream is freed once, here, and never cancelled.
                unsafe { (self.library.functions.result_destroy)(raw) };
            }
        })?;
        Ok(raw)
    }

    /// Runs a statement that the engine cannot stream (DDL, SET, USE, KILL, INSERT … SELECT), or
    /// whose format it must not, and returns its output. The output escapes every memory limit, so
    /// a SELECT runs so only with a cap on its result, and after an error its connection must go.
    pub(crate) fn command(
        &mut self,
        sql: &[u8],
        format: &str,
        params: &[(String, String)],
    ) -> Result<Chunk, EngineError> {
        let params = Params::new(params);
        // SAFETY: all lengths match their buffers, which outlive the call.
        let raw = unsafe { params.open(self.library.functions.query_whole, self.handle(), sql, format) };
        let chunk = Chunk { library: self.library.clone(), raw };
        self.library.check(raw).map(|()| chunk)
    }

    /// Runs a command and throws its output away.
    pub(crate) fn execute(&mut self, sql: &str) -> Result<(), EngineError> {
        self.command(sql.as_bytes(), "Null", &[]).map(drop)
    }

    /// Starts an insert; `sql` holds neither FORMAT nor data.
    pub(crate) fn insert(
        &mut self,
        sql: &[u8],
        format: &str,
        params: &[(String, String)],
    ) -> Result<Insert<'_>, EngineError> {
        let params = Params::new(params);
        // SAFETY: all lengths match their buffers, which outlive the call.
        let raw = unsafe { params.open(self.library.functions.insert_open, self.handle(), sql, format) };
        if raw.is_null() {
            return Err(EngineError("Code: 1001. the engine returned no insert stream".into()));
        }
        let insert = Insert { connection: self, raw };
        match insert.error() {
            Some(error) => Err(error),
            None => Ok(insert),
        }
    }
}

const READ_ONLY_CLASS: u32 = 0;
const UNKNOWN_CLASS: u32 = 4;

/// Parameters as the parallel arrays of the C interface.
struct Params {
    names: Vec<*const c_char>,
    name_lengths: Vec<usize>,
    values: Vec<*const c_char>,
    value_lengths: Vec<usize>,
}

impl Params {
    fn new(params: &[(String, String)]) -> Self {
        Self {
            names: params.iter().map(|(name, _)| name.as_ptr().cast()).collect(),
            name_lengths: params.iter().map(|(name, _)| name.len()).collect(),
            values: params.iter().map(|(_, value)| value.as_ptr().cast()).collect(),
            value_lengths: params.iter().map(|(_, value)| value.len()).collect(),
        }
    }

    /// # Safety
    /// `open` is one of the two stream openers, `connection` is live, and the strings that this
    /// value points to are still there.
    unsafe fn open(&self, open: StreamOpenParams, connection: Conn, sql: &[u8], format: &str) -> *mut c_void {
        // SAFETY: the caller's promise; lengths are those of the very buffers passed.
        unsafe {
            open(
                connection,
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                self.names.as_ptr(),
                self.name_lengths.as_ptr(),
                self.values.as_ptr(),
                self.value_lengths.as_ptr(),
                self.names.len(),
            )
        }
    }
}

/// What a started statement gives.
pub(crate) enum Output<'c> {
    /// Piece by piece.
    Stream(Select<'c>),
    /// All at once.
    Whole(Chunk),
}

/// A running statement. Dropping it before its end cancels it.
pub(crate) struct Select<'c> {
    connection: &'c mut Connection,
    raw: Res,
    live: bool,
}

impl Select<'_> {
    fn functions(&self) -> &Functions {
        &self.connection.library.functions
    }

    /// The next piece of output, at most about 1 MiB; `None` at the end.
    #[allow(clippy::should_implement_trait)] // fallible: a piece can fail in mid-output
    pub(crate) fn next(&mut self) -> Result<Option<Chunk>, EngineError> {
        if !self.live {
            return Ok(None);
        }
        // SAFETY: the stream is live and used by this thread only.
        let raw = unsafe { (self.functions().query_fetch)(self.connection.handle(), self.raw) };
        let chunk = Chunk { library: self.connection.library.clone(), raw };
        if let Err(error) = self.connection.library.check(raw) {
            self.live = false;
            return Err(error);
        }
        if chunk.bytes().is_empty() {
            self.live = false;
            return Ok(None);
        }
        Ok(Some(chunk))
    }
}

impl Drop for Select<'_> {
    fn drop(&mut self) {
        if self.live {
            // SAFETY: stream and connection are live; cancel does not free.
            unsafe { (self.functions().query_cancel)(self.connection.handle(), self.raw) };
        }
        if !self.raw.is_null() {
            // SAFETY: freed exactly once.
            unsafe { (self.functions().result_destroy)(self.raw) };
        }
    }
}

/// One piece of output with the counters gained since the piece before.
pub(crate) struct Chunk {
    library: Arc<Library>,
    raw: Res,
}

/// Rows and bytes a piece of output stands for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    /// Rows read from storage.
    pub read_rows: u64,
    /// Bytes read from storage.
    pub read_bytes: u64,
    /// Rows of the result.
    pub result_rows: u64,
    /// Bytes of the result in memory.
    pub result_bytes: u64,
    /// Rows written (INSERT … SELECT).
    pub written_rows: u64,
    /// Bytes written.
    pub written_bytes: u64,
}

impl Chunk {
    /// The formatted output.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.raw.is_null() {
            return &[];
        }
        // SAFETY: buffer and length belong to this result, which lives as long as the borrow.
        unsafe {
            let buffer = (self.library.functions.result_buffer)(self.raw);
            let length = (self.library.functions.result_length)(self.raw);
            if buffer.is_null() || length == 0 {
                return &[];
            }
            std::slice::from_raw_parts(buffer.cast(), length)
        }
    }

    /// Counters of this piece.
    pub(crate) fn progress(&self) -> Progress {
        let functions = &self.library.functions;
        // SAFETY: plain getters on a live result.
        unsafe {
            Progress {
                read_rows: (functions.storage_rows)(self.raw),
                read_bytes: (functions.storage_bytes)(self.raw),
                result_rows: (functions.result_rows)(self.raw),
                result_bytes: (functions.result_bytes)(self.raw),
                written_rows: (functions.rows_written)(self.raw),
                written_bytes: (functions.bytes_written)(self.raw),
            }
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: freed exactly once.
            unsafe { (self.library.functions.result_destroy)(self.raw) };
        }
    }
}

/// An open insert. Nothing is committed unless [`Insert::finish`] succeeds.
pub(crate) struct Insert<'c> {
    connection: &'c mut Connection,
    raw: Stream,
}

impl Insert<'_> {
    fn functions(&self) -> &Functions {
        &self.connection.library.functions
    }

    fn error(&self) -> Option<EngineError> {
        // SAFETY: live stream, text copied at once.
        unsafe { text((self.functions().insert_error)(self.raw)) }.map(EngineError)
    }

    /// Hands over one piece of the body, cut anywhere. Blocks while the engine is behind.
    /// `false`: the engine has failed already; [`Insert::finish`] tells why.
    pub(crate) fn append(&mut self, data: &[u8]) -> bool {
        // SAFETY: the bytes are copied before the call returns.
        data.is_empty() || unsafe { (self.functions().insert_append)(self.raw, data.as_ptr().cast(), data.len()) == 0 }
    }

    /// Ends the body and commits.
    pub(crate) fn finish(self) -> Result<Written, EngineError> {
        // SAFETY: live stream; the result is freed below, the stream by drop.
        let raw = unsafe { (self.functions().insert_done)(self.raw) };
        let result = Chunk { library: self.connection.library.clone(), raw };
        self.connection.library.check(raw)?;
        let progress = result.progress();
        Ok(Written { rows: progress.written_rows, bytes: progress.written_bytes })
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        // SAFETY: freed exactly once; cancels when not finished.
        unsafe { (self.functions().insert_destroy)(self.raw) };
    }
}

/// # Safety
/// `pointer` is null or a NUL-terminated string that lives for the call.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned();
    if text.is_empty() { None } else { Some(text) }
}

/// Ends the process at once, without destructors: the library's exit handlers crash or hang when
/// a connection is open, so this is the only way out after it was loaded.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; nothing after it runs.
    unsafe { libc::_exit(code) }
}
