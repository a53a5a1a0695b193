//! Dependency links of a window: of whole traces that have a span in it. Little data is read at once. Much is read
//! in stretches of time, one after the other: a trace that has no span in a whole stretch is taken for complete.

use std::collections::HashMap;

use correlate::links::{Endpoint, Kind, Link, LinkSpan, Linker, Name};
use model::time::SECOND_NS;
use model::{SpanId, mark};
use store::questions::zipkin::LinkRow;
use store::questions::{Ask, Bounds, Slices, Window, zipkin};

use super::otlp::named;
use super::window;
use crate::{View, ViewError, ask};

/// Rows up to which all that is stored is read at once.
const WHOLE_ROWS_MAX: u64 = 500_000;
/// With more, traces are looked for so far around the window.
const AROUND_NS: i64 = 3_600 * SECOND_NS;
/// Spans of a stretch, about, and how short it may be.
const STRETCH_SPANS: u64 = 300_000;
const STRETCH_MIN_NS: i64 = 30 * SECOND_NS;
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
        let mut gathered = Gathered::new(asked);
        for stretch in stretches(&ask, rows, held, asked).await? {
            zipkin::links(&ask, stretch, |row| gathered.add(row)).await?;
            gathered.close_quiet();
        }
        gathered.close_all();
        Ok(gathered.linker.into_links())
    }
}

// What is to be read, in order.
async fn stretches(ask: &Ask<'_>, rows: u64, held: Window, asked: Window) -> Result<Vec<Window>, ViewError> {
    if rows <= WHOLE_ROWS_MAX {
        return Ok(vec![held]);
    }
    let around = Window {
        from_ns: asked.from_ns.saturating_sub(AROUND_NS).max(held.from_ns),
        to_ns: asked.to_ns.saturating_add(AROUND_NS).min(held.to_ns),
    };
    let count = zipkin::count(ask, around).await?.div_ceil(STRETCH_SPANS).max(1);
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let width_ns = ((around.to_ns - around.from_ns) / count).max(STRETCH_MIN_NS);
    Ok(Slices::new(around, false, width_ns, 1).collect())
}

/// The traces that are being read, and the links of those before them.
struct Gathered {
    asked: Window,
    linker: Linker,
    open: HashMap<u64, Open>,
    endpoints: HashMap<String, Endpoint>,
}

#[derive(Default)]
struct Open {
    spans: Vec<LinkSpan>,
    /// Whether it has a span in the window.
    is_asked: bool,
    /// Whether it has one in the stretch that was read last.
    is_fresh: bool,
}

impl Gathered {
    fn new(asked: Window) -> Gathered {
        Gathered { asked, linker: Linker::default(), open: HashMap::new(), endpoints: HashMap::new() }
    }

    fn add(&mut self, row: &LinkRow<'_>) {
        let span = self.span(row);
        let is_asked = row.marks & zipkin::ODD == 0 && (self.asked.from_ns..self.asked.to_ns).contains(&row.start_ns);
        let open = self.open.entry(number(row.trace)).or_default();
        open.is_asked |= is_asked;
        open.is_fresh = true;
        if open.spans.len() < TRACE_SPANS_MAX {
            open.spans.push(span);
        }
    }

    // After a stretch.
    fn close_quiet(&mut self) {
        self.close(|open| !std::mem::take(&mut open.is_fresh));
    }

    fn close_all(&mut self) {
        self.close(|_| true);
    }

    fn close(&mut self, mut is_over: impl FnMut(&mut Open) -> bool) {
        let mut over: Vec<(u64, Open)> = self.open.extract_if(|_, open| is_over(open)).collect();
        over.retain(|(_, open)| open.is_asked);
        over.sort_unstable_by_key(|(trace, _)| *trace);
        over.into_iter().for_each(|(_, open)| self.linker.put_trace(open.spans));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(trace: &'a str, span_id: &'a str, parent_span_id: &'a str, service: &'a str, at_s: i64) -> LinkRow<'a> {
        LinkRow {
            trace,
            span_id,
            parent_span_id,
            service,
            kind: if parent_span_id.is_empty() { "Client" } else { "Server" },
            start_ns: at_s * SECOND_NS,
            marks: 0,
            local_endpoint: "",
            remote_endpoint: "",
            error: false,
            peer: "",
        }
    }

    // Scenario: stretches of time. A trace goes on in the next stretch; one lies outside the window, one only in its
    // second stretch; one has a span without a time of its own in the window.
    // Guarantee: traces are linked whole, each once, if they have a timed span in the window.
    #[test]
    fn traces_go_on_in_the_next_stretch() {
        let mut gathered = Gathered::new(Window { from_ns: 100 * SECOND_NS, to_ns: 200 * SECOND_NS });
        let (whole, outside, begins, untimed) =
            ("00000000000000a1", "00000000000000a2", "00000000000000a3", "00000000000000a4");
        gathered.add(&row(whole, "0000000000000001", "", "web", 90));
        gathered.add(&row(outside, "0000000000000001", "", "batch", 50));
        gathered.add(&row(begins, "0000000000000001", "", "web", 99));
        gathered.add(&LinkRow { marks: mark::NO_TIME, ..row(untimed, "0000000000000001", "", "odd", 150) });
        gathered.close_quiet();
        gathered.add(&row(whole, "0000000000000002", "0000000000000001", "shop", 110));
        gathered.close_quiet();
        gathered.add(&row(begins, "0000000000000002", "0000000000000001", "late", 199));
        gathered.close_all();
        let links = gathered.linker.into_links();
        let drawn: Vec<String> =
            links.iter().map(|link| format!("{} {} {}", link.parent, link.child, link.calls)).collect();
        assert_eq!(drawn, ["web shop 1"], "what was silent for a whole stretch is taken apart");
    }
}
