//! Marks: what is special about a stored row, one bit each, in the column `Marks`. They keep what
//! the exporter's columns cannot say, so that the original can be given back.

/// The event time was nonsense or opened too many partitions: the row stands at its receive time and
/// the original is kept in the `Original…` columns.
pub const QUARANTINED: u32 = 1;
/// The sender gave no event time; the row stands at the next best time.
pub const NO_TIME: u32 = 1 << 1;
/// The sender gave no duration (Zipkin).
pub const NO_DURATION: u32 = 1 << 2;
/// The span ends before it starts; `Duration` is 0 and `OriginalEndTimestamp` has the end.
pub const END_BEFORE_START: u32 = 1 << 3;
/// The trace id was sent with 64 bits.
pub const ID64: u32 = 1 << 4;
/// Zipkin's `shared`: this side joined the span that its client began.
pub const SHARED: u32 = 1 << 5;
/// Zipkin's `debug`.
pub const DEBUG: u32 = 1 << 6;
/// An attribute or body was longer than the limit and was cut.
pub const TRUNCATED: u32 = 1 << 7;
/// Attributes, events or links above the limit were left out; they are in the dropped counts.
pub const TRIMMED: u32 = 1 << 8;
/// Ids were malformed and left out: a log's own (it is kept, unlinked), a span's parent (it is kept
/// as a root), or those of a span's link or a point's exemplar.
pub const INVALID_IDS: u32 = 1 << 9;
/// Zipkin's `shared` was sent as false rather than left out.
pub const SHARED_FALSE: u32 = 1 << 10;
/// Zipkin's `debug` was sent as false rather than left out.
pub const DEBUG_FALSE: u32 = 1 << 11;
/// The row came as a Zipkin span.
pub const ZIPKIN: u32 = 1 << 12;
/// The log had no body at all (not even an empty one).
pub const NO_BODY: u32 = 1 << 13;
/// The resource was absent rather than empty.
pub const NO_RESOURCE: u32 = 1 << 14;
/// The data point's number was sent as an integer.
pub const INTEGER: u32 = 1 << 15;
/// The data point had a sum.
pub const HAS_SUM: u32 = 1 << 16;
/// The data point had a minimum.
pub const HAS_MIN: u32 = 1 << 17;
/// The data point had a maximum.
pub const HAS_MAX: u32 = 1 << 18;
/// A time lay beyond what a signed 64-bit nanosecond count can hold: the row's own (see
/// `QUARANTINED`), or that of an event or exemplar, which is stored modulo 2^64.
pub const CLAMPED: u32 = 1 << 19;
/// The data point had no value.
pub const NO_VALUE: u32 = 1 << 20;
/// A span kind, status code or severity has a number that the specification does not know; it stands
/// in `OriginalFields`.
pub const UNKNOWN_NUMBER: u32 = 1 << 21;
