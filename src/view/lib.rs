//! Answers as plain data in the user's words: services, traces, one trace with its logs, log search,
//! what was lost. Each module holds one answer's types and how it is put together from the store's rows.
//!
//! Knows nothing of SQL (that is `store::questions`) and nothing of HTTP (that is `serve`); the time is
//! a parameter. Spec: api.md; design sections 7 and 8.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attributes;
pub mod changes;
mod critical;
mod cursor;
pub mod edge;
mod error;
pub mod feedback;
pub mod graph;
pub mod incidents;
pub mod ingest;
pub mod layout;
pub mod ledger;
pub mod logs;
pub mod patterns;
pub mod problems;
pub mod query;
pub mod services;
pub mod shared;
pub mod suspects;
pub mod time;
pub mod trace;
pub mod traces;
pub mod tree;
pub mod zipkin;

use std::sync::Arc;

use store::Store;
use store::questions::Ask;

pub use attributes::{AnyValue, Attributes, AttributesShape, TypedAttribute};
pub use error::ViewError;
pub use store::questions::{LogMatch, PatternMatch, SpanMatch, Term, TraceMatch};
pub use time::{TimePoint, TimeRange, parse_duration_ns};

/// Everything that can be asked. Cheap to clone.
#[derive(Clone)]
pub struct View {
    store: Store,
    names: Arc<services::Names>,
    graphs: Arc<graph::Graphs>,
    patterns: Arc<patterns::KeyPatterns>,
    zipkin_services: Arc<zipkin::ServiceCounts>,
    limits: Limits,
}

/// Bounds on answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Spans of a trace that are read; the earliest stay, the answer says how many there are.
    pub trace_spans_max: usize,
    /// Spans in one answer about a trace when no limit is given.
    pub trace_spans_default: usize,
    /// Log records in one answer about a trace when no limit is given.
    pub trace_logs_default: usize,
    /// Largest `limit` of trace lists, log lists and the ledger.
    pub list_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { trace_spans_max: 100_000, trace_spans_default: 10_000, trace_logs_default: 10_000, list_max: 10_000 }
    }
}

impl View {
    /// A view of `store` with the usual limits.
    pub fn new(store: Store) -> View {
        View::with_limits(store, Limits::default())
    }

    /// A view of `store`.
    pub fn with_limits(store: Store, limits: Limits) -> View {
        View {
            store,
            names: Arc::new(services::Names::new()),
            graphs: Arc::new(graph::Graphs::new()),
            patterns: Arc::new(patterns::KeyPatterns::new()),
            zipkin_services: Arc::default(),
            limits,
        }
    }

    /// Forgets cached names, so that the next answer shows what has just been stored.
    pub fn forget_names(&self) {
        self.names.forget();
    }

    fn limit(&self, asked: Option<usize>, default: usize) -> Result<usize, ViewError> {
        match asked {
            Some(limit) if limit > self.limits.list_max => {
                Err(ViewError::Invalid(format!("`limit` is at most {}; page with `cursor`", self.limits.list_max)))
            }
            Some(0) => Err(ViewError::Invalid("`limit` is at least 1".into())),
            Some(limit) => Ok(limit),
            None => Ok(default),
        }
    }
}

/// Asks on behalf of one tenant.
fn ask<'a>(client: &'a store::questions::Client, tenant: &'a str) -> Ask<'a> {
    Ask { client, tenant }
}
