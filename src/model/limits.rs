//! The limits under which a request is decoded. They are part of what makes decoding a pure function
//! of the journalled frame, so every field has a fixed meaning and unit.

/// Decode limits; what is above them is cut, counted and marked, never silently lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attributes kept per resource, scope, span, event, link, log record or point.
    pub attributes_max: u32,
    /// Bytes kept of one attribute value (its text or JSON form).
    pub attribute_value_bytes_max: u32,
    /// Bytes kept of an attribute key, span name or other short text.
    pub name_bytes_max: u32,
    /// Bytes kept of a log body.
    pub body_bytes_max: u32,
    /// Events kept per span.
    pub events_max: u32,
    /// Links kept per span.
    pub links_max: u32,
    /// Levels of nested arrays and maps in one value; deeper requests are refused whole.
    pub depth_max: u32,
    /// Earliest plausible event time, nanoseconds since the epoch.
    pub time_min_ns: i64,
    /// How far an event time may lie after receipt, in nanoseconds.
    pub time_ahead_max_ns: i64,
    /// Bytes of memory that decoding may take. Where they do not suffice nothing is decoded, and the
    /// request may be tried with more; what comes out never depends on it.
    pub memory_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            attributes_max: 1024,
            attribute_value_bytes_max: 256 * 1024,
            name_bytes_max: 16 * 1024,
            body_bytes_max: 1024 * 1024,
            events_max: 4096,
            links_max: 4096,
            depth_max: 64,
            time_min_ns: crate::time::YEAR_2000_NS,
            time_ahead_max_ns: crate::time::DAY_NS,
            memory_bytes_max: usize::MAX,
        }
    }
}
