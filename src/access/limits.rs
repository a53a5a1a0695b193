//! The limits of one request and one listener: each has a unit, a default and an answer when passed.
//!
//! What is *inside* a request (attribute counts, value lengths) is bounded by `model::Limits`; this is
//! about bytes and seconds on the way in.

use std::time::Duration;

/// Limits of requests and connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body, before and after decompression, in bytes; above: 413 or RESOURCE_EXHAUSTED.
    pub body_bytes_max: usize,
    /// Largest request head, in bytes; above: 431.
    pub header_bytes_max: usize,
    /// Most header lines in a request; above: 431.
    pub headers_max: usize,
    /// Most open connections per port; above: the one that is idle for the longest time makes room, and
    /// where none is idle new ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Most concurrent HTTP/2 streams on one connection.
    pub streams_max: u32,
    /// A request head must be complete this long after its first byte.
    pub header_timeout: Duration,
    /// A body must be complete after this time, plus the time that `body_rate_min` grants; after: 408
    /// or DEADLINE_EXCEEDED.
    pub body_timeout: Duration,
    /// Slowest acceptable body, in bytes per second: each byte received extends the deadline.
    pub body_rate_min: u64,
    /// The longest wait between a complete body and its answer, also for senders that wait
    /// for storing; after: 504 or DEADLINE_EXCEEDED.
    pub answer_timeout: Duration,
    /// A connection without a request, or whose client takes nothing of an answer, is closed after this time.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes_max: 64 << 20,
            header_bytes_max: 64 << 10,
            headers_max: 100,
            connections_max: 4096,
            streams_max: 256,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            body_rate_min: 64 << 10,
            answer_timeout: Duration::from_secs(75),
            idle_timeout: Duration::from_secs(180),
        }
    }
}

impl Limits {
    /// Time that a body of so many bytes may take from its first to its last byte.
    pub fn body_time(&self, bytes: u64) -> Duration {
        self.body_timeout + Duration::from_secs(bytes / self.body_rate_min.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: a dripping body, a full one, and a rate of nought.
    // Guarantee: a drip is cut after the base time, a large honest body has time, nothing divides by zero.
    #[test]
    fn body_time_grows_with_bytes() {
        let limits = Limits::default();
        assert_eq!(limits.body_time(10), Duration::from_secs(20));
        assert_eq!(limits.body_time(64 << 20), Duration::from_secs(20 + 1024));
        let zero = Limits { body_rate_min: 0, ..limits };
        assert_eq!(zero.body_time(5), Duration::from_secs(25));
    }
}
