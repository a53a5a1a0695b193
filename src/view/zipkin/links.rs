//! Dependency links of a window: whole traces that have a span in it, read in parts so that no more
//! than one part is sorted and no more than one trace is held at a time.

use std::collections::HashMap;

use correlate::links::{Endpoint, Kind, Link, LinkSpan, Linker, Name};
use model::time::DAY_NS;
use model::{SpanId, mark};
use store::questions::zipkin::LinkRow;
use store::questions::{Bounds, Window, zipkin};

use super::otlp::named;
use super::{ALL_ROWS_MAX, window};
use crate::{View, ViewError, ask};

/// Spans in a part, about.
const PART_SPANS: u64 = 500_000;
/// Most parts.
const PARTS_MAX: u64 = 512;
/// Most spans of a trace that are looked at.
const TRACE_SPANS_MAX: usize = 2_000_000;
/// Distinct endpoints that are remembered.
const ENDPOINTS_MAX: usize = 50_000;

impl View {
    /// The links of traces with a span in [end − lookback, end], in milliseconds.
    ///
    /// # Errors
    /// Zipkin's texts when the window makes no sense.
    pub async fn zipkin_links(&self, tenant: &str, end_ts_ms: i64, lookback_ms: i64) -> Result<Vec<Link>, ViewError> {
        for (name, value) in [("endTs", end_ts_ms), ("lookback", lookback_ms)] {
            if value <= 0 {
                return Err(ViewError::Invalid(format!("{name} <= 0")));
            }
        }
        let client = self.store.client()?;
        let ask = ask(&client, tenant);
        let Some((rows, held)) = Bounds::Spans.held(&ask).await? else { return Ok(Vec::new()) };
        let asked = window(end_ts_ms, lookback_ms).within(held);
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let around = match rows > ALL_ROWS_MAX {
            true => Window { from_ns: asked.from_ns.saturating_sub(DAY_NS), to_ns: asked.to_ns.saturating_add(DAY_NS) },
            false => held,
        };
        let parts = zipkin::count(&ask, asked).await?.div_ceil(PART_SPANS).clamp(1, PARTS_MAX);
        let mut gathered = Gathered::default();
        for part in 0..parts {
            zipkin::links(&ask, asked, around, (part, parts), |row| gathered.add(row)).await?;
            gathered.close();
        }
        Ok(gathered.linker.into_links())
    }
}

/// The trace that is being read, and the links of those before it.
#[derive(Default)]
struct Gathered {
    linker: Linker,
    trace: String,
    spans: Vec<LinkSpan>,
    endpoints: HashMap<String, Endpoint>,
}

impl Gathered {
    fn add(&mut self, row: &LinkRow<'_>) {
        if row.trace != self.trace {
            self.close();
            row.trace.clone_into(&mut self.trace);
        }
        if self.spans.len() < TRACE_SPANS_MAX {
            let span = self.span(row);
            self.spans.push(span);
        }
    }

    fn close(&mut self) {
        if !self.spans.is_empty() {
            self.linker.put_trace(std::mem::take(&mut self.spans));
        }
    }

    fn span(&mut self, row: &LinkRow<'_>) -> LinkSpan {
        let id = number(row.span_id);
        let (local, remote) = match row.marks & mark::ZIPKIN != 0 {
            true => (self.endpoint(row.local_endpoint), self.endpoint(row.remote_endpoint).service),
            false => {
                let service = self.linker.name(&row.service.to_lowercase());
                let peer =
                    if row.peer.is_empty() { Name::default() } else { self.linker.name(&named(row.peer).service) };
                (Endpoint { service, ..Endpoint::default() }, peer)
            }
        };
        LinkSpan {
            id,
            parent: Some(number(row.parent_span_id)).filter(|parent| *parent != id).unwrap_or(0),
            kind: kind(row.kind),
            shared: row.marks & mark::SHARED != 0,
            error: row.error,
            timestamp_us: if row.marks & mark::NO_TIME != 0 { 0 } else { (row.start_ns / 1000).max(0).cast_unsigned() },
            local,
            remote,
        }
    }

    fn endpoint(&mut self, json: &str) -> Endpoint {
        if json.is_empty() {
            return Endpoint::default();
        }
        if let Some(known) = self.endpoints.get(json) {
            return *known;
        }
        let read = super::Endpoint::read(json).unwrap_or_default();
        let endpoint = Endpoint {
            service: self.linker.name(&read.service),
            ipv4: self.linker.name(&read.ipv4),
            ipv6: self.linker.name(&read.ipv6),
            port: read.port,
        };
        if self.endpoints.len() >= ENDPOINTS_MAX {
            self.endpoints.clear();
        }
        self.endpoints.insert(json.to_owned(), endpoint);
        endpoint
    }
}

fn kind(stored: &str) -> Option<Kind> {
    match stored {
        "Client" => Some(Kind::Client),
        "Server" => Some(Kind::Server),
        "Producer" => Some(Kind::Producer),
        "Consumer" => Some(Kind::Consumer),
        _ => None,
    }
}

fn number(hex: &str) -> u64 {
    SpanId::from_hex(hex.as_bytes()).map_or(0, |id| u64::from_be_bytes(id.0))
}
