//! What an open connection is doing, and when it has had its time. HTTP libraries bound requests; this
//! bounds what lies between them: connections that are held and not used, heads that drip, answers that
//! nobody takes, and frames without end that never become a request. Knows nothing of protocols beyond
//! telling HTTP/2 from HTTP/1, nor what a request is about.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use access::Limits;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use hyper::{Response, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Most bytes between two requests of an HTTP/2 connection: pings and settings are a few, the rest of
/// an upload that was refused at most some windows. Beyond, somebody is keeping us busy.
const CHATTER_BYTES_MAX: u64 = 8 << 20;

const UNKNOWN: u8 = 0;
const HTTP1: u8 = 1;
const HTTP2: u8 = 2;

/// The open connections of one port.
#[derive(Default)]
pub(crate) struct Register {
    connections: Mutex<HashMap<u64, Arc<Activity>>>,
    next: AtomicU64,
}

/// A connection's place in its register, given back when dropped.
pub(crate) struct Entry {
    register: Arc<Register>,
    number: u64,
    /// What the connection is doing.
    pub activity: Arc<Activity>,
}

/// What one connection is doing. Times are milliseconds since it was opened.
pub(crate) struct Activity {
    opened: Instant,
    protocol: AtomicU8,
    /// Requests whose handler has not answered yet.
    running: AtomicU32,
    /// Requests whose answer is not wholly handed out.
    open: AtomicU32,
    /// When a request began, was answered, or a piece of its answer was taken.
    touched_ms: AtomicU64,
    /// Bytes that came since the last request was done, and when the first of them did.
    chatter_bytes: AtomicU64,
    chatter_ms: AtomicU64,
    /// When it was asked to end, plus one.
    asked_ms: AtomicU64,
    ask: Notify,
    cut: Notify,
    is_cut: AtomicBool,
}

/// What is to become of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// It may stay.
    Stay,
    /// It is told to end, and may finish what it is at.
    Ask,
    /// It is closed at once.
    Cut,
}

impl Register {
    /// A new connection.
    pub(crate) fn enter(self: &Arc<Self>) -> Entry {
        let number = self.next.fetch_add(1, Relaxed);
        let activity = Arc::new(Activity::new());
        self.lock().insert(number, Arc::clone(&activity));
        Entry { register: Arc::clone(self), number, activity }
    }

    /// Ends what has had its time.
    pub(crate) fn sweep(&self, limits: &Limits) {
        for activity in self.lock().values() {
            match activity.verdict(activity.now_ms(), limits) {
                Verdict::Stay => {}
                Verdict::Ask => activity.ask(),
                Verdict::Cut => activity.cut(),
            }
        }
    }

    /// Closes the connection that has been without a request for the longest time, if there is one: a
    /// newcomer may have something to say.
    pub(crate) fn make_room(&self) {
        let connections = self.lock();
        let idle = connections.values().filter(|activity| activity.is_idle() && !activity.is_cut.load(Relaxed));
        if let Some(longest) = idle.min_by_key(|activity| activity.opened + activity.touched()) {
            longest.cut();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Activity>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.register.lock().remove(&self.number);
    }
}

impl Activity {
    fn new() -> Activity {
        Activity {
            opened: Instant::now(),
            protocol: AtomicU8::new(UNKNOWN),
            running: AtomicU32::new(0),
            open: AtomicU32::new(0),
            touched_ms: AtomicU64::new(0),
            chatter_bytes: AtomicU64::new(0),
            chatter_ms: AtomicU64::new(0),
            asked_ms: AtomicU64::new(0),
            ask: Notify::new(),
            cut: Notify::new(),
            is_cut: AtomicBool::new(false),
        }
    }

    /// A request has begun; it is over when the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, version: Version) -> Guard {
        self.protocol.store(if version < Version::HTTP_2 { HTTP1 } else { HTTP2 }, Relaxed);
        self.running.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        self.touch();
        self.chatter_bytes.store(0, Relaxed);
        Guard { activity: Arc::clone(self), is_running: true }
    }

    /// Completes when the connection is to end politely.
    pub(crate) async fn asked(&self) {
        self.ask.notified().await;
    }

    /// Completes when the connection is to be closed at once.
    pub(crate) async fn was_cut(&self) {
        self.cut.notified().await;
    }

    fn ask(&self) {
        let now = self.now_ms();
        if self.asked_ms.compare_exchange(0, now + 1, Relaxed, Relaxed).is_ok() {
            self.ask.notify_one();
        }
    }

    fn cut(&self) {
        self.is_cut.store(true, Relaxed);
        self.cut.notify_one();
    }

    fn verdict(&self, now_ms: u64, limits: &Limits) -> Verdict {
        let passed = |since_ms: u64, time: Duration| u128::from(now_ms.saturating_sub(since_ms)) >= time.as_millis();
        let asked_ms = self.asked_ms.load(Relaxed);
        if self.running.load(Relaxed) > 0 {
            // Handlers have time limits of their own.
            return Verdict::Stay;
        }
        let is_quiet = passed(self.touched_ms.load(Relaxed), limits.idle_timeout);
        if self.open.load(Relaxed) > 0 {
            // Nobody takes the answer.
            return if is_quiet { Verdict::Cut } else { Verdict::Stay };
        }
        let has_begun_head = self.protocol.load(Relaxed) != HTTP2 && self.chatter_bytes.load(Relaxed) > 0;
        let head_is_late = has_begun_head && passed(self.chatter_ms.load(Relaxed), limits.header_timeout);
        let is_deaf = asked_ms > 0 && passed(asked_ms - 1, limits.header_timeout);
        match (head_is_late || is_deaf, is_quiet) {
            (true, _) => Verdict::Cut,
            (false, true) => Verdict::Ask,
            (false, false) => Verdict::Stay,
        }
    }

    /// Bytes have come in.
    fn heard(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() || !self.is_idle() {
            return Ok(());
        }
        let before = self.chatter_bytes.fetch_add(bytes.len() as u64, Relaxed);
        if before == 0 {
            self.chatter_ms.store(self.now_ms(), Relaxed);
            if bytes.starts_with(b"PRI") {
                self.protocol.store(HTTP2, Relaxed);
            }
        }
        if before > CHATTER_BYTES_MAX && self.protocol.load(Relaxed) != HTTP1 {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "too many bytes without a request"));
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.open.load(Relaxed) == 0
    }

    fn touch(&self) {
        self.touched_ms.store(self.now_ms(), Relaxed);
    }

    fn touched(&self) -> Duration {
        Duration::from_millis(self.touched_ms.load(Relaxed))
    }

    fn now_ms(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }
}

/// A request in progress.
pub(crate) struct Guard {
    activity: Arc<Activity>,
    is_running: bool,
}

impl Guard {
    /// The handler is done; the request is over when the answer's body is.
    pub(crate) fn answered(mut self, response: Response<Body>) -> Response<Answer> {
        self.is_running = false;
        self.activity.running.fetch_sub(1, Relaxed);
        self.activity.touch();
        response.map(|body| Answer { body, guard: self })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_running {
            self.activity.running.fetch_sub(1, Relaxed);
        }
        self.activity.touch();
        self.activity.chatter_bytes.store(0, Relaxed);
        self.activity.open.fetch_sub(1, Relaxed);
    }
}

/// The body of an answer, which tells when the client takes of it.
pub(crate) struct Answer {
    body: Body,
    guard: Guard,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.guard.activity.touch();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose bytes are counted in an [`Activity`].
pub(crate) struct Heard<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Heard<S> {
    /// Counts the bytes of `stream`.
    pub(crate) fn new(stream: S, activity: Arc<Activity>) -> Heard<S> {
        Heard { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        Poll::Ready(self.activity.heard(&into.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { idle_timeout: Duration::from_secs(180), header_timeout: Duration::from_secs(10), ..Limits::default() }
    }

    // Scenario: a connection is silent, begins a head, runs a request, has its answer taken or not, is used again.
    // Guarantee: only silence, a head that drips and an answer that nobody takes end it; a running handler never does.
    #[tokio::test]
    async fn verdicts() {
        let after = |activity: &Activity, seconds: u64| activity.verdict(activity.now_ms() + seconds * 1000, &limits());
        let activity = Arc::new(Activity::new());
        assert_eq!([after(&activity, 179), after(&activity, 180)], [Verdict::Stay, Verdict::Ask], "silent");
        activity.heard(b"POST /v1/tra").unwrap();
        assert_eq!([after(&activity, 9), after(&activity, 10)], [Verdict::Stay, Verdict::Cut], "a head that drips");
        let guard = activity.begin(Version::HTTP_11);
        activity.heard(&[0; 1000]).unwrap();
        assert_eq!(after(&activity, 100_000), Verdict::Stay, "a handler at work");
        let answer = guard.answered(Response::new(Body::from("x")));
        assert_eq!(
            [after(&activity, 179), after(&activity, 180)],
            [Verdict::Stay, Verdict::Cut],
            "an answer not taken"
        );
        drop(answer);
        assert_eq!([after(&activity, 179), after(&activity, 180)], [Verdict::Stay, Verdict::Ask], "idle again");
        activity.ask();
        assert_eq!([after(&activity, 9), after(&activity, 10)], [Verdict::Stay, Verdict::Cut], "asked in vain");
    }

    // Scenario: HTTP/2 begins with its preface and stays without a request, pinging now and then, or without end.
    // Guarantee: eager clients may wait as long as idle ones; endless frames are an error; requests start the count anew.
    #[tokio::test]
    async fn chatter_is_bounded() {
        let activity = Arc::new(Activity::new());
        activity.heard(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        assert_eq!(activity.verdict(activity.now_ms() + 20_000, &limits()), Verdict::Stay);
        let flood = vec![0; 1 << 20];
        for _ in 0..3 {
            for _ in 0..8 {
                activity.heard(&flood).unwrap();
            }
            drop(activity.begin(Version::HTTP_2));
        }
        let heard = (0..10).map(|_| activity.heard(&flood)).filter(Result::is_err).count();
        assert_eq!(heard, 1, "the tenth piece is too much");
        // What follows a refused upload on HTTP/1 is its body, which is read and thrown away in its own bounds.
        let activity = Arc::new(Activity::new());
        drop(activity.begin(Version::HTTP_11));
        assert!((0..100).all(|_| activity.heard(&flood).is_ok()));
    }

    // Scenario: a register with a busy connection, an old idle one and a younger idle one; room is made twice.
    // Guarantee: the one idle for the longest time goes first, busy ones stay, and dropped entries leave.
    #[tokio::test]
    async fn room_is_made_by_the_longest_idle() {
        let register = Arc::new(Register::default());
        let [busy, old, young] = [(); 3].map(|()| register.enter());
        let _guard = busy.activity.begin(Version::HTTP_2);
        drop(young.activity.begin(Version::HTTP_11));
        young.activity.touched_ms.store(5000, Relaxed);
        register.make_room();
        old.activity.was_cut().await;
        register.make_room();
        young.activity.was_cut().await;
        register.make_room();
        assert!(!busy.activity.is_cut.load(Relaxed));
        drop((busy, old, young));
        assert_eq!(register.lock().len(), 0);
    }
}
