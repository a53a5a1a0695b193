//! One request inside the engine: split the text, open a connection, run, hand out the answer.
//!
//! Runs on a lane's thread and may block. Speaks to the HTTP side through [`Event`]s only. The
//! fences of design section 4 are kept here: insert data only through the insert stream, selects
//! streamed (but for formats that are one document), no connection used again after an error in
//! mid-output.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

use crate::body::Source;
use crate::compress::{Encoder, Encoding, readable_blocks};
use crate::core::{Core, User, lines, quoted, set};
use crate::exception::Failure;
use crate::ffi::{EngineError, Output, Progress};
use crate::reader;
use crate::request::Ask;
use crate::session::{Kept, Taken};
use crate::statement::{Statement, split};
use crate::stitch::{Stitch, WHOLE_BYTES_MAX, Way};

/// What a running request tells the HTTP side.
pub(crate) enum Event {
    /// The statement was accepted; its answer is in this format.
    Begin {
        /// Format name.
        format: String,
    },
    /// A piece of the answer, encoded.
    Piece(Bytes),
    /// The end.
    Done(Progress),
    /// The failure.
    Failed(Failed),
}

/// A failure, in both forms: before and after the headers have gone.
pub(crate) struct Failed {
    /// For an error answer.
    pub failure: Failure,
    /// Encoded, for the end of an answer that has begun.
    pub in_band: Bytes,
}

/// One request to run.
pub(crate) struct Work {
    /// The opened engine.
    pub core: Arc<Core>,
    /// Who asks.
    pub user: User,
    /// What is asked.
    pub ask: Ask,
    /// Whether the method promises to change nothing (GET).
    pub safe_method: bool,
    /// The body.
    pub source: Source,
    /// The session, when one was asked for.
    pub session: Option<Taken>,
    /// The name to kill it by.
    pub mark: String,
    /// Set when the engine has nothing of it any more.
    pub done: Arc<AtomicBool>,
    /// Set when it shall run to its end even without its client: an insert whose body is here
    /// whole is short, and its sender will want to know what became of it.
    pub unstoppable: Arc<AtomicBool>,
    /// How to encode the answer.
    pub encoding: Encoding,
    /// The tag of the in-band form.
    pub tag: String,
    /// Limits of the reader.
    pub limits: reader::Limits,
    /// How long the client may take nothing of its answer.
    pub idle: Duration,
    /// To wait on the client from this thread.
    pub runtime: Handle,
}

/// A statement must fit in its first bytes; only an insert's data may follow.
const HEAD_BYTES: usize = 256 << 10;
const PIECE_BYTES: usize = 1 << 20;
const STATEMENT_BYTES_MAX: usize = 16 << 20;

struct Finished(Arc<AtomicBool>);

impl Drop for Finished {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs the request to its end. Returns early when the client has left.
pub(crate) fn run(mut work: Work, events: &Sender<Event>) {
    let _finished = Finished(work.done.clone());
    let encoder = match Encoder::new(work.encoding, work.ask.compress) {
        Ok(encoder) => encoder,
        Err(error) => {
            let failure = Failure::new(1001, "STD_EXCEPTION", error);
            return drop(events.blocking_send(Event::Failed(Failed { failure, in_band: Bytes::new() })));
        }
    };
    let mut out = Out { events, encoder, idle: work.idle, runtime: work.runtime.clone() };
    let answered = answer(&mut work, &mut out);
    // Before the last event: a client that is told the end must not have its next query killed.
    work.done.store(true, Ordering::Release);
    match answered {
        Ok(progress) => out.done(progress),
        Err(Stop::Gone) => {}
        Err(Stop::Failed(failure)) => out.failed(failure, &work.tag, &work.core.version),
    }
}

/// Why a request ended early.
enum Stop {
    /// The client left or takes nothing.
    Gone,
    /// It failed.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Failed(error.into())
    }
}

/// The way out to the client, with back pressure.
struct Out<'a> {
    events: &'a Sender<Event>,
    encoder: Encoder,
    idle: Duration,
    runtime: Handle,
}

impl Out<'_> {
    fn send(&self, event: Event) -> Result<(), Stop> {
        let sent = self.runtime.block_on(self.events.send_timeout(event, self.idle));
        sent.map_err(|_| Stop::Gone)
    }

    /// The engine hands out whole blocks, which may be large; what waits for the client may not.
    fn pieces(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        bytes.chunks(PIECE_BYTES).try_for_each(|piece| self.piece(piece))
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let encoded = self.encoder.encode(bytes).map_err(encode_failure)?;
        if encoded.is_empty() { Ok(()) } else { self.send(Event::Piece(encoded)) }
    }

    fn done(self, progress: Progress) {
        let Self { events, encoder, idle, runtime } = self;
        let send = |event| drop(runtime.block_on(events.send_timeout(event, idle)));
        match encoder.finish() {
            Ok(tail) if tail.is_empty() => {}
            Ok(tail) => send(Event::Piece(tail)),
            Err(error) => tracing::warn!(%error, "ending a compressed answer"),
        }
        send(Event::Done(progress));
    }

    fn failed(mut self, failure: Failure, tag: &str, version: &str) {
        let shown = failure.in_band(tag, version);
        let mut in_band = match &mut self.encoder {
            Encoder::Blocks => readable_blocks(&shown),
            encoder => encoder.encode(&shown).map(|bytes| bytes.to_vec()).unwrap_or_default(),
        };
        if let Ok(tail) = self.encoder.finish() {
            in_band.extend_from_slice(&tail);
        }
        let failed = Failed { failure, in_band: in_band.into() };
        let sent = self.events.send_timeout(Event::Failed(failed), self.idle);
        drop(self.runtime.block_on(sent));
    }
}

fn encode_failure(error: std::io::Error) -> Stop {
    Stop::Failed(Failure::new(1001, "STD_EXCEPTION", format!("encoding the answer: {error}")))
}

fn answer(work: &mut Work, out: &mut Out<'_>) -> Result<Progress, Stop> {
    let text = Text::read(work)?;
    match split(&text.bytes) {
        Statement::Empty => Err(Failure::new(62, "SYNTAX_ERROR", "Empty query").into()),
        Statement::Several => Err(Failure::new(62, "SYNTAX_ERROR", "Multi-statements are not allowed").into()),
        Statement::Insert { sql, format, data } => {
            if work.user == User::Reader {
                return Err(reader::refused().into());
            }
            let inline = &text.bytes[data..];
            if !(text.all_in_url && inline.trim_ascii().is_empty()) {
                push_front(&mut work.source, inline, text.all_in_url);
            }
            insert(work, out, sql, format)
        }
        Statement::Plain { sql, format } => {
            let format = format.or(work.ask.default_format.as_deref()).unwrap_or("TabSeparated");
            let format = format.to_owned();
            query(work, out, sql, &format)
        }
    }
}

/// Data read with the statement comes before the rest; after a URL ClickHouse puts a line end.
fn push_front(source: &mut Source, inline: &[u8], from_url: bool) {
    let mut joined = inline.to_vec();
    if from_url {
        joined.push(b'\n');
    }
    source.push_back(joined.into());
}

/// The statement's text: the URL's query, the body's, or one after the other.
struct Text {
    bytes: Vec<u8>,
    /// Whether all of the text stood in the URL, so that the body is data only.
    all_in_url: bool,
}

impl Text {
    fn read(work: &mut Work) -> Result<Self, Stop> {
        let query = std::mem::take(&mut work.ask.query).into_bytes();
        if let Statement::Insert { sql, .. } = split(&query)
            && !query[sql.len()..].trim_ascii().is_empty()
        {
            // FORMAT or VALUES stands in the URL: the usual insert; the body is not touched.
            return Ok(Self { bytes: query, all_in_url: true });
        }
        let mut bytes = query;
        let (mut head, mut ended) = work.source.read_head(HEAD_BYTES).map_err(damaged)?;
        if !bytes.is_empty() && !head.is_empty() {
            bytes.push(b'\n');
        }
        bytes.append(&mut head);
        if !ended && matches!(split(&bytes), Statement::Insert { .. }) {
            return Ok(Self { bytes, all_in_url: false });
        }
        while !ended {
            if bytes.len() > STATEMENT_BYTES_MAX {
                return Err(Failure::new(
                    307,
                    "TOO_MANY_BYTES",
                    format!("a statement may have at most {STATEMENT_BYTES_MAX} bytes"),
                )
                .into());
            }
            (head, ended) = work.source.read_head(HEAD_BYTES).map_err(damaged)?;
            bytes.append(&mut head);
        }
        Ok(Self { bytes, all_in_url: false })
    }
}

fn damaged(error: std::io::Error) -> Stop {
    let failure = Failure::new(33, "CANNOT_READ_ALL_DATA", format!("reading the request body: {error}"));
    Stop::Failed(failure.with_status(400))
}

fn insert(work: &mut Work, out: &mut Out<'_>, sql: &[u8], format: &str) -> Result<Progress, Stop> {
    if work.safe_method {
        return Err(Failure::new(164, "READONLY", "Cannot insert with the GET method").into());
    }
    work.unstoppable.store(true, Ordering::Release);
    out.send(Event::Begin { format: format.to_owned() })?;
    let mut open = Open::new(work)?;
    let source = &mut work.source;
    let result = (|| {
        let mut insert = open.kept.connection.insert(sql, format, &work.ask.params)?;
        loop {
            // A damaged body drops the stream unfinished, which commits nothing.
            match source.next().map_err(damaged)? {
                Some(piece) if insert.append(&piece) => {}
                _ => break,
            }
        }
        Ok::<_, Stop>(insert.finish()?)
    })();
    let ended_clean = result.is_ok();
    open.close(work, ended_clean);
    let written = result?;
    Ok(Progress { written_rows: written.rows, written_bytes: written.bytes, ..Progress::default() })
}

fn query(work: &mut Work, out: &mut Out<'_>, sql: &[u8], format: &str) -> Result<Progress, Stop> {
    let array_of_rows =
        work.ask.settings.iter().any(|(name, value)| name == "output_format_json_array_of_rows" && value != "0");
    let way = Way::of(format, array_of_rows);
    if way == Way::Whole {
        bound_whole(&mut work.ask.settings);
    }
    let mut open = Open::new(work)?;
    if work.user == User::Reader {
        let core = work.core.clone();
        core.gate.admit(&mut open.kept.connection, sql, &work.ask.params)?;
    }
    out.send(Event::Begin { format: format.to_owned() })?;
    let mut begun = false;
    let result = (|| {
        let mut total = Progress::default();
        if way == Way::Whole {
            // A materialised answer that fails may leave its bytes behind.
            begun = true;
            let output = open.kept.connection.command(sql, format, &work.ask.params)?;
            out.pieces(output.bytes())?;
            return Ok(output.progress());
        }
        let mut stitch = Stitch::new(way);
        let mut select = match open.kept.connection.start(sql, format, &work.ask.params)? {
            Output::Stream(select) => select,
            Output::Whole(output) => {
                out.pieces(output.bytes())?;
                return Ok(output.progress());
            }
        };
        while let Some(chunk) = select.next()? {
            begun = true;
            add(&mut total, chunk.progress());
            let joined = stitch
                .cut(chunk.bytes())
                .ok_or_else(|| Failure::new(1001, "STD_EXCEPTION", "a block of the answer lacks its header"))?;
            out.pieces(joined)?;
        }
        Ok::<_, Stop>(total)
    })();
    // An error before output leaves a streamed connection clean (tested), so a session survives a
    // misspelt name; after output nothing is trusted.
    let ended_clean = match &result {
        Ok(_) => true,
        Err(Stop::Failed(_)) => !begun,
        Err(Stop::Gone) => false,
    };
    open.close(work, ended_clean);
    result
}

/// A whole answer lies in memory outside the engine's limits, so its result is bounded.
fn bound_whole(settings: &mut Vec<(String, String)>) {
    let asked =
        settings.iter().rev().find(|(name, _)| name == "max_result_bytes").and_then(|(_, value)| value.parse().ok());
    let bound = asked.filter(|asked: &u64| *asked > 0).map_or(WHOLE_BYTES_MAX, |asked| asked.min(WHOLE_BYTES_MAX));
    settings.retain(|(name, _)| name != "max_result_bytes");
    settings.push(("max_result_bytes".to_owned(), bound.to_string()));
}

fn add(total: &mut Progress, more: Progress) {
    total.read_rows += more.read_rows;
    total.read_bytes += more.read_bytes;
    total.result_rows += more.result_rows;
    total.result_bytes += more.result_bytes;
    total.written_rows += more.written_rows;
    total.written_bytes += more.written_bytes;
}

/// A connection ready for the statement, with what must be undone in a session afterwards.
struct Open {
    kept: Kept,
    undo: Vec<String>,
}

impl Open {
    fn new(work: &mut Work) -> Result<Self, Stop> {
        work.core.check_settings(&work.ask.settings)?;
        let mut settings = work.ask.settings.clone();
        if work.user == User::Reader {
            settings = reader::settings(settings, &work.limits);
        } else if work.safe_method {
            settings.retain(|(name, _)| name != "readonly");
            settings.push(("readonly".to_owned(), "2".to_owned()));
        }
        let kept = work.session.as_mut().and_then(|session| session.kept.take());
        let mut open = match kept {
            Some(kept) => {
                let mut open = Self { kept, undo: Vec::new() };
                // The HTTP side kills by this session's own mark.
                open.set_for_one_statement(&settings)?;
                open
            }
            None => {
                // A session's connection keeps no setting of its first request.
                let lasting: &[_] = if work.session.is_some() { &[] } else { &settings };
                let connection = work.core.connect(lasting, &work.mark)?;
                let mut open = Self { kept: Kept { connection, mark: work.mark.clone() }, undo: Vec::new() };
                if work.ask.database.is_none() {
                    open.use_database(&work.core.database)?;
                }
                if work.session.is_some() {
                    open.set_for_one_statement(&settings)?;
                }
                open
            }
        };
        if let Some(database) = &work.ask.database {
            // Clients name `default` without being asked; the reader means ours.
            let overlay = work.user == User::Reader && database == reader::OVERLAY;
            open.use_database(if overlay { &work.core.database } else { database })?;
        }
        Ok(open)
    }

    fn use_database(&mut self, database: &str) -> Result<(), Stop> {
        Ok(self.kept.connection.execute(&format!("USE {}", quoted(database)))?)
    }

    /// Settings of one request must not outlive it in a session.
    fn set_for_one_statement(&mut self, settings: &[(String, String)]) -> Result<(), Stop> {
        if settings.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = settings.iter().map(|(name, _)| format!("'{name}'")).collect();
        let sql = format!("SELECT changed, name, hex(value) FROM system.settings WHERE name IN ({})", names.join(","));
        for line in lines(&mut self.kept.connection, &sql)? {
            let mut fields = line.split('\t');
            let (Some(changed), Some(name), Some(value)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            self.undo.push(match changed {
                "1" => set(name, &unhex(value)),
                _ => format!("SET {name} = DEFAULT"),
            });
        }
        for (name, value) in settings {
            self.kept.connection.execute(&set(name, value))?;
        }
        Ok(())
    }

    fn close(mut self, work: &mut Work, ended_clean: bool) {
        let Some(session) = work.session.take() else { return };
        if !ended_clean {
            return;
        }
        for sql in &self.undo {
            if self.kept.connection.execute(sql).is_err() {
                return;
            }
        }
        session.keep(self.kept);
    }
}

fn unhex(text: &str) -> String {
    let bytes: Vec<u8> = text
        .as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
