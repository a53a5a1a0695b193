//! What stands behind the doors: the trait that the root implements with journal and flow.

use std::future::Future;

use access::{Budget, Error, Permit};
use bytes::Bytes;
use model::{Account, Envelope, Protocol, Reason, Signal};
use wire::encoding::Encoding;

/// Takes requests in. Shared by all doors.
pub trait Intake: Send + Sync + 'static {
    /// Decodes the request and makes it durable; the answer means *kept*.
    ///
    /// The future may be dropped at any await (the client went away, its deadline passed): work that
    /// must not stop half-way belongs into a task of its own.
    ///
    /// # Errors
    /// `invalid_argument` when the body cannot be decoded; `unavailable` (with a pause) when it may be
    /// sent again. The door notes the former in the loss ledger; all else that is refused here, the
    /// implementer notes itself, because only it knows the items.
    fn accept(&self, arrival: Arrival) -> impl Future<Output = Result<Receipt, Error>> + Send;

    /// The byte budget of all requests in flight.
    fn budget(&self) -> &Budget;

    /// The receive time for a request that arrives now, nanoseconds since the epoch.
    fn now_ns(&self) -> i64;

    /// Writes into the loss ledger what a door refused, or what could not be decoded. `items` is 0: it
    /// is not known. `example` says the case in words. Senders choose how often this is called:
    /// it must be cheap and bounded.
    fn note(&self, envelope: &Envelope, signal: Signal, reason: Reason, items: u64, example: String);

    /// Whether requests can be kept at present; what gRPC health checks answer.
    fn is_ready(&self) -> bool {
        true
    }
}

/// A request whose bytes are here, complete and unpacked, but not decoded.
#[derive(Debug)]
pub struct Arrival {
    /// The language of the body.
    pub protocol: Protocol,
    /// How `body` is packed.
    pub encoding: Encoding,
    /// The body as received.
    pub body: Bytes,
    /// The body unpacked; the same bytes when it came unpacked.
    pub plain: Bytes,
    /// Tenant, receive time, sender.
    pub envelope: Envelope,
    /// Bytes of the budget held for `body` and `plain`; to be grown by what decoding adds and dropped
    /// when all of it is gone.
    pub permit: Permit,
    /// Whether the sender wants the answer only after storing.
    pub wait_stored: bool,
}

/// What became of an accepted request.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    /// What was refused or altered of it.
    pub account: Account,
    /// Accepted items: spans, log records, metric points.
    pub items: [u32; 3],
    /// The request had been accepted before and was not stored again.
    pub repeated: bool,
}
