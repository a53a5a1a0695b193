//! The opened engine: its connections, its lanes, what it knows, and how its queries are killed.
//!
//! One per process. Knows users only as lanes and connection arguments; HTTP lives elsewhere.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::exception::Failure;
use crate::ffi::{Connection, EngineError, Library};
use crate::pool::Lane;
use crate::pulse::Pulse;
use crate::reader::Gate;
use crate::session::Sessions;

/// Who a request runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// Hypocenter itself: everything.
    Own,
    /// The outside reader: reads, within limits.
    Reader,
}

/// The opened engine.
pub(crate) struct Core {
    door: Arc<EngineDoor>,
    /// ClickHouse's version, e.g. `26.7.2.1`.
    pub version: String,
    /// The engine's time zone.
    pub timezone: String,
    /// The database of requests that name none.
    pub database: String,
    setting_names: HashSet<String>,
    /// What the reader may not reach.
    pub(crate) gate: Gate,
    /// Inserts with a body.
    pub inserts: Lane,
    /// All other statements of our own.
    pub queries: Lane,
    /// Statements of the reader.
    pub reads: Lane,
    /// Sessions of our own user.
    pub sessions: Arc<Sessions>,
    /// Ends queries whose client has left.
    pub killer: Killer,
    /// Says whether the engine still answers.
    pub(crate) pulse: Pulse,
    next_mark: AtomicU64,
    // Last, so that it is closed last: while it is open the engine keeps its data directory.
    _anchor: std::sync::Mutex<Connection>,
}

/// The library and the directory; every connection must name the same directory.
pub(crate) struct EngineDoor {
    library: Arc<Library>,
    path: String,
}

impl EngineDoor {
    pub(crate) fn connect(&self, mut arguments: Vec<String>) -> Option<Connection> {
        arguments.push(self.path.clone());
        self.library.connect(&arguments)
    }
}

/// Why the engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine refused; its reason is on standard error.
    #[error("the engine refused to open its data directory (its reason is the line before this one on standard error)")]
    Refused,
    /// A first statement failed.
    #[error("preparing the opened engine: {0}")]
    Prepare(#[from] EngineError),
    /// No threads.
    #[error("starting the engine's threads: {0}")]
    Threads(#[from] std::io::Error),
}

/// How many statements of each kind run at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes {
    /// Inserts.
    pub inserts: usize,
    /// Our own queries.
    pub queries: usize,
    /// The reader's queries.
    pub reads: usize,
}

const WAITING_MAX: usize = 256;
const READS_WAITING_MAX: usize = 32;
const SESSIONS_MAX: usize = 64;

impl Core {
    /// Opens `data_dir` (canonical) with our `config_file` and prepares everything for requests.
    pub(crate) fn open(
        library: Arc<Library>,
        data_dir: &Path,
        config_file: &Path,
        database: &str,
        lanes: Lanes,
    ) -> Result<Arc<Self>, OpenError> {
        let door = Arc::new(EngineDoor { library, path: format!("--path={}", data_dir.display()) });
        let config_file = format!("--config-file={}", config_file.display());
        let mut anchor = door.connect(vec![config_file]).ok_or(OpenError::Refused)?;
        // Never `default`: it overlays the file system.
        anchor.execute(&format!("CREATE DATABASE IF NOT EXISTS {} ENGINE = Atomic", quoted(database)))?;
        let facts = lines(&mut anchor, "SELECT version(), timezone()")?;
        let (version, timezone) = facts
            .first()
            .and_then(|line| line.split_once('\t'))
            .map(|(version, timezone)| (version.to_owned(), timezone.to_owned()))
            .unwrap_or_default();
        let setting_names = lines(&mut anchor, "SELECT name FROM system.settings")?;
        let gate = Gate::new(
            &lines(&mut anchor, "SELECT name FROM system.functions")?,
            &lines(&mut anchor, "SELECT name FROM system.table_functions")?,
        );
        Ok(Arc::new(Self {
            gate,
            killer: Killer::start(door.clone())?,
            pulse: Pulse::start(door.clone())?,
            door,
            version,
            timezone,
            database: database.to_owned(),
            setting_names: setting_names.into_iter().collect(),
            inserts: Lane::start("insert", lanes.inserts, WAITING_MAX)?,
            queries: Lane::start("query", lanes.queries, WAITING_MAX)?,
            reads: Lane::start("read", lanes.reads, READS_WAITING_MAX)?,
            sessions: Sessions::new(SESSIONS_MAX),
            next_mark: AtomicU64::new(1),
            _anchor: std::sync::Mutex::new(anchor),
        }))
    }

    /// A name no other statement of this process has; statements are killed by it.
    pub(crate) fn new_mark(&self) -> String {
        format!("hypocenter-{}", self.next_mark.fetch_add(1, Ordering::Relaxed))
    }

    /// Refuses settings that the engine does not have (as an argument it would ignore them).
    pub(crate) fn check_settings(&self, settings: &[(String, String)]) -> Result<(), Failure> {
        match settings.iter().find(|(name, _)| !self.setting_names.contains(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Failure::new(
                115,
                "UNKNOWN_SETTING",
                format!(
                    "Setting {name} is neither a builtin setting nor started with the prefix 'SQL_' registered for user-defined settings"
                ),
            )),
        }
    }

    /// Opens a connection with these settings; its statements can be killed by `mark`.
    pub(crate) fn connect(&self, settings: &[(String, String)], mark: &str) -> Result<Connection, Failure> {
        let mut arguments = Vec::with_capacity(settings.len() + 1);
        for (name, value) in settings {
            if name != "log_comment" {
                arguments.push(format!("--{name}={value}"));
            }
        }
        arguments.push(format!("--log_comment={mark}"));
        match self.door.connect(arguments) {
            Some(connection) => Ok(connection),
            None => Err(self.refusal(settings)),
        }
    }

    /// The C interface gives no reason for a refused connection; SET does.
    fn refusal(&self, settings: &[(String, String)]) -> Failure {
        if let Some(mut plain) = self.door.connect(Vec::new()) {
            for (name, value) in settings {
                if let Err(error) = plain.execute(&set(name, value)) {
                    return error.into();
                }
            }
        }
        Failure::new(439, "CANNOT_SCHEDULE_TASK", "the engine refused another connection")
    }
}

/// `SET name = 'value'`.
pub(crate) fn set(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("SET {name} = '{value}'")
}

/// A name in backticks.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A small answer as lines of tab-separated fields.
pub(crate) fn lines(connection: &mut Connection, sql: &str) -> Result<Vec<String>, EngineError> {
    let mut select = connection.query(sql.as_bytes(), "TSVRaw", &[])?;
    let mut text = Vec::new();
    while let Some(chunk) = select.next()? {
        text.extend_from_slice(chunk.bytes());
    }
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

/// Ends queries from a thread and connection of its own.
pub(crate) struct Killer {
    asks: mpsc::Sender<KillAsk>,
}

struct KillAsk {
    mark: String,
    done: Arc<AtomicBool>,
}

/// Between tries: a query may not be registered yet, or notice its end only between blocks.
const KILL_AGAIN: Duration = Duration::from_millis(50);
const KILL_TRIES_MAX: usize = 1200;

impl Killer {
    fn start(door: Arc<EngineDoor>) -> std::io::Result<Self> {
        let (asks, queue) = mpsc::channel::<KillAsk>();
        std::thread::Builder::new().name("killer".into()).stack_size(8 << 20).spawn(move || {
            let mut waiting: Vec<(KillAsk, usize)> = Vec::new();
            loop {
                let ask = if waiting.is_empty() {
                    let Ok(ask) = queue.recv() else { return };
                    Some(ask)
                } else {
                    queue.recv_timeout(KILL_AGAIN).ok()
                };
                waiting.extend(ask.map(|ask| (ask, 0)));
                waiting.extend(queue.try_iter().map(|ask| (ask, 0)));
                waiting.retain_mut(|(ask, tries)| {
                    *tries += 1;
                    !ask.done.load(Ordering::Acquire) && *tries <= KILL_TRIES_MAX
                });
                if !waiting.is_empty() {
                    kill(&door, waiting.iter().map(|(ask, _)| ask.mark.as_str()));
                }
            }
        })?;
        Ok(Self { asks })
    }

    /// Kills the statement marked so, again and again until `done`.
    pub(crate) fn kill(&self, mark: String, done: Arc<AtomicBool>) {
        let _ = self.asks.send(KillAsk { mark, done });
    }
}

/// ASYNC, never SYNC: a finished query stays listed until its connection's next statement, and
/// SYNC would wait for that for ever.
fn kill<'a>(door: &EngineDoor, marks: impl Iterator<Item = &'a str>) {
    let marks: Vec<String> = marks.map(|mark| format!("'{mark}'")).collect();
    let sql = format!("KILL QUERY WHERE Settings['log_comment'] IN ({}) ASYNC", marks.join(","));
    let Some(mut connection) = door.connect(vec!["--log_comment=hypocenter-killer".to_owned()]) else {
        return;
    };
    if let Err(error) = connection.execute(&sql) {
        tracing::warn!(%error, "killing queries whose client has left");
    }
}
