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
        for event in rows.filter_map(|row| index_event(batch, row)) {
            tenant.add(&event);
            let (min, max) = times.unwrap_or((event.start_ns, event.start_ns));
            times = Some((min.min(event.start_ns), max.max(event.start_ns)));
        }
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

impl Tenant {
    fn add(&mut self, event: &IndexEvent) {
        let rows = &mut self.rows;
        let start = seconds(event.start_ns.div_euclid(SECOND_NS));
        let end = seconds(event.end_ns.saturating_add(SECOND_NS - 1).div_euclid(SECOND_NS));
        // Spans of a trace often stand together: the last row is looked at before the map.
        let at = match rows.trace_id.last() {
            Some(last) if *last == event.trace_id => rows.trace_id.len() - 1,
            _ => *self.places.entry(event.trace_id).or_insert(rows.trace_id.len() as u32) as usize,
        };
        if at == rows.trace_id.len() {
            rows.trace_id.push(event.trace_id);
            rows.start.push(start);
            rows.end.push(end);
            rows.spans.push(0);
            rows.logs.push(0);
        }
        rows.start[at] = rows.start[at].min(start);
        rows.end[at] = rows.end[at].max(end);
        rows.spans[at] += u32::from(event.is_span);
        rows.logs[at] += u32::from(!event.is_span);
    }
}

// `DateTime` ends in 2106.
fn seconds(seconds: i64) -> u32 {
    seconds.clamp(0, i64::from(u32::MAX)) as u32
}
