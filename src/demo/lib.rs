//! A shop of simulated services, for people without services of their own and for tests that must
//! know what is broken: a pure, seeded simulator of requests, with a menu of faults that act where a
//! real one would and spread as a real one does.
//!
//! It plays a foreign sender: it knows nothing of Hypocenter's rooms, makes OTLP and Zipkin of its
//! own, and has no clock and no network; time is a parameter, and whoever runs it sends what falls due.

mod dialect;
mod fault;
mod guide;
mod logs;
pub mod otlp;
mod outcome;
mod random;
mod shop;
mod simulate;
mod stack;
mod story;
mod telemetry;
mod topology;
mod units;
mod walk;
pub mod zipkin;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_faults;

pub use fault::{Ends, Fault, Kind, Order, Truth};
pub use guide::guide;
pub use shop::{Dialect, HOSTS, Language, LogForm, Service, Svc};
pub use simulate::{Settings, Simulator};
pub use telemetry::{Attributes, Event, Item, Log, Payload, Remote, Resource, Span, SpanKind, Status, Value};
pub use topology::{Edge, Node, Topology};
pub use units::{parse_length, tell_length};
