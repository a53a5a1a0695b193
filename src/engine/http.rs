//! The HTTP side: who may ask, which lane runs it, and how the answer goes out.
//!
//! Follows ClickHouse's HTTP interface as its clients use it: status and headers are decided once
//! the first megabyte or the end is there, so that most failures get a proper status; a later one
//! is written in-band and the connection is cut, so that nobody takes a part for the whole.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use subtle::ConstantTimeEq;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{Instant, timeout_at};

use crate::body::{self, ReceiveError, Spool};
use crate::compress::{Encoder, Encoding, readable_blocks};
use crate::core::{Core, User};
use crate::exception::Failure;
use crate::ffi::Progress;
use crate::pulse;
use crate::reader;
use crate::request::{self, Ask, Credentials};
use crate::run::{Event, Failed, Work, run};
use crate::statement;

/// What every request needs.
pub(crate) struct Site {
    /// The opened engine.
    pub core: Arc<Core>,
    /// Name and password of our own user.
    pub own: Account,
    /// The reader, when there is one.
    pub reader: Option<Account>,
    /// Bounds on our own bodies.
    pub bodies: Bodies,
    /// Bounds on the reader's, apart, so that outsiders cannot take our places.
    pub reader_bodies: Bodies,
    /// Bounds on the reader.
    pub limits: reader::Limits,
    /// How long a client may take nothing of its answer.
    pub idle: Duration,
}

/// How request bodies of one user are received.
pub(crate) struct Bodies {
    /// Bounds on each.
    pub(crate) limits: body::Limits,
    /// How many at once; more would make the memory unbounded.
    pub(crate) receiving: tokio::sync::Semaphore,
}

/// A user's name and password.
#[derive(Clone)]
pub(crate) struct Account {
    /// Name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// Which port a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The loopback port of the parent process.
    Own,
    /// The port for outsiders, which admits the reader only.
    Outside,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes gathered before status and headers go out.
const GATHER_BYTES: usize = 1 << 20;
const GATHER_BYTES_WAIT_END: usize = 64 << 20;
/// How long a first piece waits for more before the headers go out.
const GATHER_TIME: Duration = Duration::from_millis(50);
/// Gives the in-band failure time to reach the client before the connection is cut.
const CUT_AFTER: Duration = Duration::from_millis(200);
const PIECES_IN_FLIGHT: usize = 4;
const DISPLAY_NAME: &str = "hypocenter-engine";

/// Answers one request; never fails.
pub(crate) async fn handle(
    site: Arc<Site>,
    door: Door,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let query_id = new_query_id();
    let uri = request.uri().clone();
    Ok(match answer(&site, door, request, &query_id).await {
        Ok(response) => response,
        Err(failure) => {
            let blocks = request::wants_blocks(uri.query().unwrap_or_default());
            error_response(&site, &failure, &query_id, blocks)
        }
    })
}

async fn answer(
    site: &Arc<Site>,
    door: Door,
    request: Request<Incoming>,
    query_id: &str,
) -> Result<Response<Body>, Failure> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if matches!(path, "/ping" | "/replicas_status") {
        return Ok(plain(StatusCode::OK, "Ok.\n"));
    }
    if path == pulse::PATH && door == Door::Own {
        site.core.pulse.beat().await;
        return Ok(plain(StatusCode::OK, "Alive.\n"));
    }
    if path != "/" {
        let message = format!("There is no handle {path}\n");
        return Ok(plain(StatusCode::NOT_FOUND, message));
    }
    if !matches!(head.method, Method::GET | Method::HEAD | Method::POST) {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "Use GET or POST.\n"));
    }
    let mut pairs = request::pairs(head.uri.query().unwrap_or_default());
    if head.method != Method::POST && pairs.iter().all(|(name, _)| name != "query") {
        return Ok(plain(StatusCode::OK, "Ok.\n"));
    }
    let user = authenticate(site, door, &request::credentials(&pairs, &head.headers))?;

    let bodies = match user {
        User::Own => &site.bodies,
        User::Reader => &site.reader_bodies,
    };
    let receiving = bodies.receiving.acquire().await;
    let mut spool = Spool::receive(body, &bodies.limits).await.map_err(body_failure)?;
    drop(receiving);
    let mut encoding = request::content_encoding(&head.headers)?;
    if let Some(boundary) = request::multipart_boundary(&head.headers) {
        let form = read_all(spool, encoding)?;
        pairs.extend(request::multipart_fields(&form, &boundary)?);
        (spool, encoding) = (Spool::default(), Encoding::Identity);
    }
    let ask = Ask::new(&pairs, &head.headers)?;
    if let Some(hello) = hello(site, &ask, &head.headers, spool.first()) {
        return Ok(hello);
    }
    start(site, user, ask, &head.headers, head.method != Method::POST, spool, encoding, query_id).await
}

#[allow(clippy::too_many_arguments)] // the parts of one request, each used once
async fn start(
    site: &Arc<Site>,
    user: User,
    ask: Ask,
    headers: &HeaderMap,
    safe_method: bool,
    spool: Spool,
    encoding: Encoding,
    query_id: &str,
) -> Result<Response<Body>, Failure> {
    let core = &site.core;
    let is_insert = statement::looks_like_insert(ask.query.as_bytes())
        || (ask.query.is_empty()
            && encoding == Encoding::Identity
            && !ask.decompress
            && statement::looks_like_insert(spool.first()));
    let lane = match user {
        User::Reader => &core.reads,
        User::Own if is_insert => &core.inserts,
        User::Own => &core.queries,
    };
    let place =
        lane.place().await.map_err(|full| Failure::new(202, "TOO_MANY_SIMULTANEOUS_QUERIES", full).with_status(503))?;
    let session = match (&ask.session, user) {
        (Some(wanted), User::Own) => Some(core.sessions.take(wanted)?),
        _ => None,
    };
    let mark = session
        .as_ref()
        .and_then(|session| session.kept.as_ref())
        .map_or_else(|| core.new_mark(), |kept| kept.mark.clone());
    let answer_encoding = match ask.http_compression {
        Some(false) => Encoding::Identity,
        _ if ask.compress => Encoding::Identity,
        _ => request::accepted_encoding(headers),
    };
    let query_id = ask.query_id.clone().unwrap_or_else(|| query_id.to_owned());
    let answering = Answering {
        tag: new_tag(),
        query_id,
        encoding: answer_encoding,
        gather_bytes: if ask.wait_end { GATHER_BYTES_WAIT_END } else { GATHER_BYTES },
        gather_time: if ask.wait_end { None } else { Some(GATHER_TIME) },
    };
    let done = Arc::new(AtomicBool::new(false));
    let unstoppable = Arc::new(AtomicBool::new(false));
    let guard =
        KillOnDrop { site: site.clone(), mark: mark.clone(), done: done.clone(), unstoppable: unstoppable.clone() };
    let decompress = ask.decompress;
    let source = spool
        .into_source(encoding, decompress)
        .map_err(|error| Failure::new(33, "CANNOT_READ_ALL_DATA", error).with_status(400))?;
    let work = Work {
        core: core.clone(),
        user,
        ask,
        safe_method,
        source,
        session,
        mark,
        done,
        unstoppable,
        encoding: answer_encoding,
        tag: answering.tag.clone(),
        limits: site.limits.clone(),
        idle: site.idle,
        runtime: tokio::runtime::Handle::current(),
    };
    let (events, answers) = mpsc::channel(PIECES_IN_FLIGHT);
    place.run(move || run(work, &events));
    answering.respond(site, answers, guard).await
}

/// Kills the statement when its client leaves before the end.
struct KillOnDrop {
    site: Arc<Site>,
    mark: String,
    done: Arc<AtomicBool>,
    unstoppable: Arc<AtomicBool>,
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if !self.done.load(Ordering::Acquire) && !self.unstoppable.load(Ordering::Acquire) {
            self.site.core.killer.kill(std::mem::take(&mut self.mark), self.done.clone());
        }
    }
}

/// How one answer goes out.
struct Answering {
    tag: String,
    query_id: String,
    encoding: Encoding,
    gather_bytes: usize,
    gather_time: Option<Duration>,
}

impl Answering {
    async fn respond(
        self,
        site: &Arc<Site>,
        mut answers: Receiver<Event>,
        guard: KillOnDrop,
    ) -> Result<Response<Body>, Failure> {
        let started = Instant::now();
        let mut format = "TabSeparated".to_owned();
        let (mut gathered, mut bytes, mut deadline) = (Vec::new(), 0usize, None);
        loop {
            let event = match deadline {
                Some(deadline) => match timeout_at(deadline, answers.recv()).await {
                    Ok(event) => event,
                    Err(_) => break,
                },
                None => answers.recv().await,
            };
            match event {
                Some(Event::Begin { format: chosen }) => format = chosen,
                Some(Event::Piece(piece)) => {
                    bytes += piece.len();
                    gathered.push(piece);
                    if bytes >= self.gather_bytes {
                        break;
                    }
                    deadline = deadline.or(self.gather_time.map(|time| Instant::now() + time));
                }
                Some(Event::Done(progress)) => {
                    let body = Full::new(Bytes::from(gathered.concat()));
                    let body = body.map_err(|never| match never {}).boxed_unsync();
                    let summary = summary(&progress, started.elapsed());
                    return Ok(self.head(site, &format, &summary).body(body).unwrap_or_default());
                }
                Some(Event::Failed(Failed { failure, .. })) => {
                    return Err(failure);
                }
                None => {
                    return Err(Failure::new(1001, "STD_EXCEPTION", "the query's thread died"));
                }
            }
        }
        let summary = summary(&Progress::default(), started.elapsed());
        let head = self.head(site, &format, &summary);
        let state = Streaming { gathered: gathered.into_iter(), answers, _guard: guard, cutting: false };
        let body = StreamBody::new(stream::unfold(state, Streaming::next)).boxed_unsync();
        Ok(head.body(body).unwrap_or_default())
    }

    fn head(&self, site: &Site, format: &str, summary: &str) -> http::response::Builder {
        let mut builder = Response::builder().status(StatusCode::OK);
        if let Some(headers) = builder.headers_mut() {
            common_headers(headers, site, &self.query_id);
            put(headers, "Content-Type", content_type(format));
            put(headers, "X-ClickHouse-Format", format);
            put(headers, "X-ClickHouse-Exception-Tag", &self.tag);
            put(headers, "X-ClickHouse-Summary", summary);
            if let Some(name) = self.encoding.name() {
                put(headers, "Content-Encoding", name);
            }
        }
        builder
    }
}

struct Streaming {
    gathered: std::vec::IntoIter<Bytes>,
    answers: Receiver<Event>,
    _guard: KillOnDrop,
    cutting: bool,
}

impl Streaming {
    async fn next(mut self) -> Option<(io::Result<Frame<Bytes>>, Self)> {
        if self.cutting {
            // An unfinished body: also a client that knows no in-band failures sees this one.
            tokio::time::sleep(CUT_AFTER).await;
            return Some((Err(io::Error::other("the query failed in mid-answer")), self));
        }
        if let Some(piece) = self.gathered.next() {
            return Some((Ok(Frame::data(piece)), self));
        }
        match self.answers.recv().await {
            Some(Event::Piece(piece)) => Some((Ok(Frame::data(piece)), self)),
            Some(Event::Begin { .. }) => None,
            Some(Event::Done(_)) => None,
            Some(Event::Failed(failed)) => {
                self.cutting = true;
                Some((Ok(Frame::data(failed.in_band)), self))
            }
            None => Some((Err(io::Error::other("the query's thread died")), self)),
        }
    }
}

fn authenticate(site: &Site, door: Door, given: &Credentials) -> Result<User, Failure> {
    let same = |account: &Account| {
        let user = given.user.as_bytes().ct_eq(account.user.as_bytes());
        let password = given.password.as_bytes().ct_eq(account.password.as_bytes());
        bool::from(user & password)
    };
    if door == Door::Own && same(&site.own) {
        return Ok(User::Own);
    }
    if site.reader.as_ref().is_some_and(same) {
        return Ok(User::Reader);
    }
    let user = if given.user.is_empty() { "default" } else { &given.user };
    let failure = Failure::new(
        516,
        "AUTHENTICATION_FAILED",
        format!("{user}: Authentication failed: password is incorrect, or there is no user with such name"),
    );
    Err(if given.given { failure } else { failure.with_status(401) })
}

fn body_failure(error: ReceiveError) -> Failure {
    match error {
        ReceiveError::TooLarge(_) => Failure::new(307, "TOO_MANY_BYTES", error).with_status(413),
        ReceiveError::Idle(_) | ReceiveError::Slow(_) => Failure::new(209, "SOCKET_TIMEOUT", error).with_status(408),
        ReceiveError::Broken(_) => Failure::new(33, "CANNOT_READ_ALL_DATA", error).with_status(400),
        ReceiveError::Spool { .. } => Failure::new(243, "NOT_ENOUGH_SPACE", error).with_status(503),
    }
}

const FORM_BYTES_MAX: usize = 16 << 20;

fn read_all(spool: Spool, encoding: Encoding) -> Result<Vec<u8>, Failure> {
    let damaged = |error: io::Error| Failure::new(33, "CANNOT_READ_ALL_DATA", error).with_status(400);
    let mut source = spool.into_source(encoding, false).map_err(damaged)?;
    let (form, ended) = source.read_head(FORM_BYTES_MAX).map_err(damaged)?;
    if ended { Ok(form) } else { Err(Failure::new(307, "TOO_MANY_BYTES", "the form is too large").with_status(413)) }
}

fn error_response(site: &Site, failure: &Failure, query_id: &str, blocks: bool) -> Response<Body> {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = failure.text(&site.core.version);
    let mut response = if blocks { plain(status, readable_blocks(text.as_bytes())) } else { plain(status, text) };
    let headers = response.headers_mut();
    common_headers(headers, site, query_id);
    put(headers, "X-ClickHouse-Exception-Code", &failure.code.to_string());
    if status == StatusCode::UNAUTHORIZED {
        put(headers, "WWW-Authenticate", "Basic realm=\"ClickHouse server HTTP API\"");
    }
    response
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(text.into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    put(response.headers_mut(), "Content-Type", "text/plain; charset=UTF-8");
    response
}

fn common_headers(headers: &mut HeaderMap, site: &Site, query_id: &str) {
    put(headers, "X-ClickHouse-Query-Id", query_id);
    put(headers, "X-ClickHouse-Server-Display-Name", DISPLAY_NAME);
    put(headers, "X-ClickHouse-Timezone", &site.core.timezone);
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        if let Ok(name) = name {
            headers.insert(name, value);
        }
    }
}

fn content_type(format: &str) -> &'static str {
    if format.starts_with("JSON") {
        return match format.contains("EachRow") {
            true => "application/x-ndjson; charset=UTF-8",
            false => "application/json; charset=UTF-8",
        };
    }
    if format.starts_with("TabSeparated") || format.starts_with("TSV") {
        return "text/tab-separated-values; charset=UTF-8";
    }
    if format.starts_with("CSV") {
        return "text/csv; charset=UTF-8; header=absent";
    }
    match format {
        "Native" | "Parquet" | "Arrow" | "ArrowStream" | "ORC" | "Avro" | "MsgPack" => "application/octet-stream",
        _ if format.starts_with("RowBinary") => "application/octet-stream",
        _ => "text/plain; charset=UTF-8",
    }
}

fn summary(progress: &Progress, elapsed: Duration) -> String {
    format!(
        "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":\"{}\",\"written_bytes\":\"{}\",\
         \"total_rows_to_read\":\"0\",\"result_rows\":\"{}\",\"result_bytes\":\"{}\",\"elapsed_ns\":\"{}\"}}",
        progress.read_rows,
        progress.read_bytes,
        progress.written_rows,
        progress.written_bytes,
        progress.result_rows,
        progress.result_bytes,
        elapsed.as_nanos(),
    )
}

/// A UUID of version 4.
fn new_query_id() -> String {
    let bits = (rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Sixteen letters, as ClickHouse's own tags.
fn new_tag() -> String {
    let mut random = rand::random::<u128>();
    std::iter::repeat_with(|| {
        let letter = b'a' + (random % 26) as u8;
        random /= 26;
        letter as char
    })
    .take(16)
    .collect()
}

/// The Go client's greeting. It decodes this one answer at its own protocol revision, which the
/// engine cannot write; told revision 0 here, it reads all later answers as the engine writes them.
fn hello(site: &Site, ask: &Ask, headers: &HeaderMap, body: &[u8]) -> Option<Response<Body>> {
    const GREETING: &[u8] = b"SELECT displayName(), version(), revision(), timezone()";
    let statement = if ask.query.is_empty() { body } else { ask.query.as_bytes() };
    if ask.protocol_version == 0 || statement.trim_ascii() != GREETING {
        return None;
    }
    let encoding = if ask.compress { Encoding::Identity } else { request::accepted_encoding(headers) };
    let mut encoder = Encoder::new(encoding, ask.compress).ok()?;
    let mut bytes = encoder.encode(&hello_block(site, ask.protocol_version)).ok()?.to_vec();
    bytes.extend_from_slice(&encoder.finish().ok()?);
    let mut response = plain(StatusCode::OK, bytes);
    let headers = response.headers_mut();
    common_headers(headers, site, &new_query_id());
    put(headers, "Content-Type", "application/octet-stream");
    put(headers, "X-ClickHouse-Format", "Native");
    if let Some(name) = encoding.name() {
        put(headers, "Content-Encoding", name);
    }
    Some(response)
}

/// One Native block of one row, as of the client's revision.
fn hello_block(site: &Site, protocol_version: u64) -> Vec<u8> {
    const CUSTOM_SERIALIZATION_REVISION: u64 = 54454;
    // Block info (not overflows, no bucket), four columns, one row.
    let mut block = vec![1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 4, 1];
    let mut column = |name: &str, kind: &str, value: &[u8]| {
        for text in [name, kind] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
        if protocol_version >= CUSTOM_SERIALIZATION_REVISION {
            block.push(0);
        }
        if kind == "String" {
            block.push(value.len() as u8);
        }
        block.extend_from_slice(value);
    };
    column("displayName()", "String", DISPLAY_NAME.as_bytes());
    column("version()", "String", site.core.version.as_bytes());
    column("revision()", "UInt32", &0u32.to_le_bytes());
    column("timezone()", "String", site.core.timezone.as_bytes());
    block
}
