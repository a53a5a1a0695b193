//! Rows of the trace index: many source rows (spans and log records) become one row per trace and
//! tenant in a block.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::rows::TraceIndex;
use model::table::Context;
use model::time::SECOND_NS;
use model::{Batch, Envelope, Resources, Scopes};

use crate::block::Body;
use crate::lane::{IndexEvent, index_event};

/// Bytes of one row of [`TraceIndex`].
const ROW_BYTES: usize = 32;

/// Traces of a block that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    tenants: Vec<Tenant>,
}

#[derive(Debug)]
struct Tenant {
    name: Arc<str>,
    received_ns: i64,
    /// Where each trace stands in `rows`; ids come from outside, so the hash is seeded by chance.
    places: HashMap<[u8; 16], u32, RandomState>,
    rows: TraceIndex,
}

impl Traces {
    /// Adds source rows of a batch; gives the least and greatest event time among them.
    pub(crate) fn append(&mut self, batch: &Batch, rows: std::ops::Range<u32>) -> Option<(i64, i64)> {
        let tenant = self.tenant(&batch.envelope);
        let mut times: Option<(i64, i64)> = None;
        let mut close = |run: &Run| {
            tenant.add(run);
            let (min, max) = times.unwrap_or((run.first_ns, run.last_ns));
            times = Some((min.min(run.first_ns), max.max(run.last_ns)));
        };
        let mut open: Option<Run> = None;
        for event in rows.filter_map(|row| index_event(batch, row)) {
            match &mut open {
                Some(run) if run.trace_id == event.trace_id => run.join(&event),
                _ => {
                    if let Some(run) = open.replace(Run::of(&event)) {
                        close(&run);
                    }
                }
            }
        }
        open.iter().for_each(close);
        times
    }

    /// Rows so far: traces, not source rows.
    pub(crate) fn rows(&self) -> u32 {
        self.tenants.iter().map(|tenant| tenant.rows.trace_id.len() as u32).sum()
    }

    /// Bytes of the rows as they will be sent, approximately.
    pub(crate) fn bytes(&self) -> usize {
        self.rows() as usize * 90
    }

    /// Bytes of memory held, those of the columns to come included.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = |tenant: &Tenant| tenant.places.allocation_size() + tenant.rows.trace_id.capacity() * ROW_BYTES;
        self.bytes() + self.tenants.iter().map(held).sum::<usize>()
    }

    /// The rows as columns.
    pub(crate) fn fill(&self, body: &mut Body) {
        let (resources, scopes) = (Resources::default(), Scopes::default());
        for tenant in &self.tenants {
            let envelope =
                Envelope { tenant: Arc::clone(&tenant.name), received_ns: tenant.received_ns, sender: Arc::from("") };
            let context = Context { envelope: &envelope, resources: &resources, scopes: &scopes };
            body.append(&tenant.rows.columns(context), 0..tenant.rows.trace_id.len());
        }
    }

    fn tenant(&mut self, envelope: &Envelope) -> &mut Tenant {
        let at = self.tenants.iter().position(|tenant| tenant.name == envelope.tenant).unwrap_or_else(|| {
            let name = Arc::clone(&envelope.tenant);
            self.tenants.push(Tenant {
                name,
                received_ns: i64::MIN,
                places: HashMap::default(),
                rows: TraceIndex::default(),
            });
            self.tenants.len() - 1
        });
        let tenant = &mut self.tenants[at];
        tenant.received_ns = tenant.received_ns.max(envelope.received_ns);
        tenant
    }
}

// Events of one trace that stand together, as spans of a trace often do: looked up and rounded once.
struct Run {
    trace_id: [u8; 16],
    first_ns: i64,
    last_ns: i64,
    end_ns: i64,
    spans: u32,
    logs: u32,
}

impl Run {
    fn of(event: &IndexEvent) -> Run {
        let IndexEvent { trace_id, start_ns, end_ns, .. } = *event;
        let mut run = Run { trace_id, first_ns: start_ns, last_ns: start_ns, end_ns, spans: 0, logs: 0 };
        run.join(event);
        run
    }

    fn join(&mut self, event: &IndexEvent) {
        self.first_ns = self.first_ns.min(event.start_ns);
        self.last_ns = self.last_ns.max(event.start_ns);
        self.end_ns = self.end_ns.max(event.end_ns);
        self.spans += u32::from(event.is_span);
        self.logs += u32::from(!event.is_span);
    }
}

impl Tenant {
    fn add(&mut self, run: &Run) {
        let rows = &mut self.rows;
        let start = seconds(run.first_ns.div_euclid(SECOND_NS));
        let end = seconds(run.end_ns.saturating_add(SECOND_NS - 1).div_euclid(SECOND_NS));
        // A trace may go on where the last batch ended: the last row is looked at before the map.
        let at = match rows.trace_id.last() {
            Some(last) if *last == run.trace_id => rows.trace_id.len() - 1,
            _ => *self.places.entry(run.trace_id).or_insert(rows.trace_id.len() as u32) as usize,
        };
        if at == rows.trace_id.len() {
            rows.trace_id.push(run.trace_id);
            rows.start.push(start);
            rows.end.push(end);
            rows.spans.push(0);
            rows.logs.push(0);
        }
        rows.start[at] = rows.start[at].min(start);
        rows.end[at] = rows.end[at].max(end);
        rows.spans[at] += run.spans;
        rows.logs[at] += run.logs;
    }
}

// `DateTime` ends in 2106.
fn seconds(seconds: i64) -> u32 {
    seconds.clamp(0, i64::from(u32::MAX)) as u32
}
