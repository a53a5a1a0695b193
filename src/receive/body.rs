//! Reading a body that nobody vouches for: every frame is paid from the byte budget before it is
//! kept, the size limit ends it, and a body that drips is given up.
//!
//! Claims cost nothing: a declared length refuses early what cannot fit, but memory is reserved only
//! in proportion to what has arrived.

use std::time::Duration;

use access::{Budget, Limits, Permit};
use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::fault::Fault;

/// Most bytes reserved on the word of a declared length.
const TRUST_BYTES_MAX: usize = 256 << 10;

/// How long and how much a refused HTTP/1 body is read and thrown away, so that the client, which may
/// still be writing, sees the answer instead of a reset connection.
const LINGER_TIME: Duration = Duration::from_secs(5);
const LINGER_BYTES_MAX: usize = 128 << 20;

/// Frames of a body, paid for.
pub(crate) struct Frames<'a> {
    body: &'a mut Body,
    limits: &'a Limits,
    permit: Permit,
    started: Instant,
    received: usize,
}

impl<'a> Frames<'a> {
    /// Opens a permit without bytes.
    pub(crate) fn new(body: &'a mut Body, limits: &'a Limits, budget: &Budget) -> Frames<'a> {
        Frames { body, limits, permit: budget.open(), started: Instant::now(), received: 0 }
    }

    /// The next data, never empty; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let deadline = self.started + self.limits.body_time(self.received as u64);
            let frame = timeout_at(deadline, self.body.frame()).await.map_err(|_| Fault::Slow)?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| why(&error))?;
            // Trailers mean nothing to us, and empty frames must not buy time.
            let Ok(data) = frame.into_data() else { continue };
            if data.is_empty() {
                continue;
            }
            if !self.permit.grow(data.len()) {
                return Err(Fault::no_budget());
            }
            self.received += data.len();
            return Ok(Some(data));
        }
    }

    /// Whether nothing more can come.
    pub(crate) fn is_over(&self) -> bool {
        self.body.is_end_stream()
    }

    /// The permit for all bytes received.
    pub(crate) fn into_permit(self) -> Permit {
        self.permit
    }
}

/// A body that is put together from frames. Its room is paid for before it is taken.
pub(crate) struct Whole {
    bytes: Vec<u8>,
    expected: usize,
}

impl Whole {
    /// Begins with `first`; `expected` is how long the whole claims to be, 0 when it does not say.
    pub(crate) fn start(first: &[u8], expected: usize, frames: &mut Frames<'_>) -> Result<Whole, Fault> {
        let mut whole = Whole { bytes: Vec::new(), expected };
        let room = if expected >= first.len() { expected.min(TRUST_BYTES_MAX) } else { 2 * first.len() };
        whole.make_room(room.max(first.len()), frames)?;
        whole.copy(first, frames);
        Ok(whole)
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a frame.
    pub(crate) fn add(&mut self, frame: &[u8], frames: &mut Frames<'_>) -> Result<(), Fault> {
        let needed = self.bytes.len() + frame.len();
        if needed > self.bytes.capacity() {
            let doubled = needed.max(2 * self.bytes.capacity());
            // A claim that is nearly fulfilled is believed.
            let room = if self.expected >= needed { doubled.min(self.expected) } else { doubled };
            self.make_room(room, frames)?;
        }
        self.copy(frame, frames);
        Ok(())
    }

    /// The body, and the permit for the memory that it holds.
    pub(crate) fn finish(self, frames: Frames<'_>) -> (Bytes, Permit) {
        (Bytes::from(self.bytes), frames.into_permit())
    }

    // The frame goes; its copy lies in room that is paid for.
    fn copy(&mut self, frame: &[u8], frames: &mut Frames<'_>) {
        self.bytes.extend_from_slice(frame);
        frames.permit.shrink(frame.len());
    }

    fn make_room(&mut self, room: usize, frames: &mut Frames<'_>) -> Result<(), Fault> {
        if !frames.permit.grow(room - self.bytes.capacity()) {
            return Err(Fault::no_budget());
        }
        self.bytes.try_reserve_exact(room - self.bytes.len()).map_err(|_| Fault::no_budget())
    }
}

/// Reads an HTTP body whole. A body in one piece is not copied, others once (claims apart).
pub(crate) async fn read(body: &mut Body, limits: &Limits, budget: &Budget) -> Result<(Bytes, Permit), Fault> {
    let limit = limits.body_bytes_max;
    let declared = body.size_hint().exact();
    check_claim(declared, limit, budget)?;
    let mut frames = Frames::new(body, limits, budget);
    let Some(first) = frames.next().await? else { return Ok((Bytes::new(), frames.into_permit())) };
    if first.len() > limit {
        return Err(Fault::too_large("the body", limit));
    }
    if frames.is_over() {
        return Ok((first, frames.into_permit()));
    }
    let mut whole = Whole::start(&first, declared.map_or(0, |bytes| bytes as usize), &mut frames)?;
    drop(first);
    while let Some(frame) = frames.next().await? {
        if whole.len() + frame.len() > limit {
            return Err(Fault::too_large("the body", limit));
        }
        whole.add(&frame, &mut frames)?;
    }
    Ok(whole.finish(frames))
}

/// Refuses before reading what cannot be taken anyway. Nothing is reserved: a claim that is never
/// kept must not shut others out.
pub(crate) fn check_claim(declared: Option<u64>, limit: usize, budget: &Budget) -> Result<(), Fault> {
    let Some(declared) = declared else { return Ok(()) };
    if declared > limit as u64 {
        return Err(Fault::too_large("the body", limit));
    }
    if !budget.has(declared as usize) {
        return Err(Fault::no_budget());
    }
    Ok(())
}

/// Reads and forgets the rest of a refused body.
pub(crate) async fn linger(mut body: Body) {
    let mut left = LINGER_BYTES_MAX;
    let drain = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            if bytes >= left {
                return;
            }
            left -= bytes;
        }
    };
    let _ = tokio::time::timeout(LINGER_TIME, drain).await;
}

// Malformed chunks are told from clients that hung up by the kind of the underlying error.
fn why(error: &(dyn std::error::Error + 'static)) -> Fault {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), InvalidData | InvalidInput)
        {
            return Fault::Broken(io.to_string());
        }
        cause = error.source();
    }
    Fault::Gone
}
