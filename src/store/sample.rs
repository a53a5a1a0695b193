//! Batches for tests: every column filled, nothing the same twice unless meant, repeatable by seed.

use std::sync::Arc;

use model::metrics::{Descriptors, Exemplars, Points};
use model::text::{DictColumn, StrColumn};
use model::time::DAY_NS;
use model::{Batch, Envelope, MapColumn};

/// A chain of numbers (splitmix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    fn word(&mut self, stem: &str, distinct: u64) -> String {
        let lengths = ["", "ä", "\n\t\"\\' ", &"long ".repeat(60)];
        format!("{stem}{}{}", self.below(distinct), lengths[(self.below(16) as usize).min(40) % 4])
    }

    fn dict(&mut self, column: &mut DictColumn, stem: &str) {
        let word = if self.below(4) == 0 { String::new() } else { self.word(stem, 5) };
        column.push(word.as_bytes());
    }

    fn text(&mut self, column: &mut StrColumn, stem: &str) {
        let word = if self.below(3) == 0 { String::new() } else { self.word(stem, 1 << 40) };
        column.push(word.as_bytes());
    }

    fn map(&mut self, column: &mut MapColumn, types: &mut DictColumn) {
        let pairs = self.below(4);
        for at in 0..pairs {
            let key = format!("key.{at}.{}", self.below(3));
            let value = self.word("value", 1 << 30);
            column.push(key.as_bytes(), value.as_bytes());
        }
        column.end_row();
        types.push(if pairs == 0 { b"" } else { b"i2" });
    }

    fn id<const BYTES: usize>(&mut self) -> [u8; BYTES] {
        let mut id = [0; BYTES];
        if self.below(5) > 0 {
            let wide = u128::from(self.number()) << 64 | u128::from(self.number());
            id.copy_from_slice(&wide.to_le_bytes()[..BYTES]);
        }
        id
    }

    // Never whole, so that every program writes it the same.
    fn double(&mut self) -> f64 {
        f64::from(self.number() as i32 | 1) / 1024.0
    }
}

/// The day that samples begin on.
pub(crate) const FIRST_DAY: i64 = 20_000;

/// A batch without rows, of a tenant.
pub(crate) fn empty() -> Batch {
    Batch::new(Envelope { tenant: Arc::from("blue"), received_ns: FIRST_DAY * DAY_NS + 77, sender: Arc::from("test") })
}

/// A batch with spans and logs on the given days; logs with or without a trace.
pub(crate) fn on_days(spans: &[i64], logs: &[(i64, bool)]) -> Batch {
    let mut batch = empty();
    for (at, day) in spans.iter().enumerate() {
        push_span(&mut batch, [(at % 255) as u8 + 1; 16], day * DAY_NS + at as i64, 5);
    }
    for (at, (day, traced)) in logs.iter().enumerate() {
        push_log(&mut batch, if *traced { [(at % 255) as u8 + 1; 16] } else { [0; 16] }, (day + 1) * DAY_NS - 1);
    }
    batch
}

/// Adds a plain span.
pub(crate) fn push_span(batch: &mut Batch, trace_id: [u8; 16], start_ns: i64, duration_ns: u64) {
    let mut chance = Chance(7);
    span(batch, &mut chance);
    let at = batch.spans.len() - 1;
    batch.spans.trace_id[at] = trace_id;
    batch.spans.start[at] = start_ns;
    batch.spans.duration[at] = duration_ns;
}

/// Adds a plain log record.
pub(crate) fn push_log(batch: &mut Batch, trace_id: [u8; 16], time_ns: i64) {
    let mut chance = Chance(8);
    log(batch, &mut chance);
    let at = batch.logs.len() - 1;
    batch.logs.trace_id[at] = trace_id;
    batch.logs.time[at] = time_ns;
}

/// A batch with `rows` spans, logs, points of each kind, ledger rows and dead letters.
pub(crate) fn batch(seed: u64, rows: usize) -> Batch {
    let mut batch = empty();
    let mut chance = Chance(seed);
    for _ in 0..rows {
        span(&mut batch, &mut chance);
        log(&mut batch, &mut chance);
        metrics(&mut batch, &mut chance);
        books(&mut batch, &mut chance);
    }
    batch.spans.assert_whole();
    batch.logs.assert_whole();
    batch
}

fn shared(batch: &mut Batch, chance: &mut Chance) -> (u32, u32) {
    if batch.resources.is_empty() || chance.below(4) == 0 {
        let resources = &mut batch.resources;
        chance.dict(&mut resources.service_name, "service");
        chance.dict(&mut resources.service_version, "version");
        chance.dict(&mut resources.service_instance, "instance");
        chance.map(&mut resources.attributes, &mut resources.attribute_types);
        resources.dropped_attributes.push(chance.below(3) as u32);
        chance.dict(&mut resources.schema_url, "schema");
        chance.text(&mut resources.entity_refs, "entity");
    }
    if batch.scopes.is_empty() || chance.below(4) == 0 {
        let scopes = &mut batch.scopes;
        chance.dict(&mut scopes.name, "scope");
        chance.dict(&mut scopes.version, "version");
        chance.map(&mut scopes.attributes, &mut scopes.attribute_types);
        scopes.dropped_attributes.push(chance.below(3) as u32);
        chance.dict(&mut scopes.schema_url, "schema");
    }
    (chance.below(batch.resources.len() as u64) as u32, chance.below(batch.scopes.len() as u64) as u32)
}

fn time(chance: &mut Chance) -> i64 {
    FIRST_DAY * DAY_NS + chance.below(3 * DAY_NS as u64) as i64
}

fn span(batch: &mut Batch, chance: &mut Chance) {
    let (resource, scope) = shared(batch, chance);
    let spans = &mut batch.spans;
    spans.resource.push(resource);
    spans.scope.push(scope);
    let trace_id = if chance.below(2) == 0 { [3; 16] } else { chance.id() };
    spans.trace_id.push(trace_id);
    spans.span_id.push(chance.id());
    spans.parent_span_id.push(chance.id());
    chance.text(&mut spans.trace_state, "state");
    chance.dict(&mut spans.name, "name");
    spans.kind.push(chance.below(6) as u8);
    spans.start.push(time(chance));
    spans.duration.push(chance.number() >> chance.below(64));
    spans.status.push(chance.below(3) as u8);
    chance.text(&mut spans.status_message, "message");
    spans.flags.push(chance.number() as u32);
    chance.map(&mut spans.attributes, &mut spans.attribute_types);
    spans.dropped_attributes.push(chance.below(3) as u32);
    spans.dropped_events.push(chance.below(3) as u32);
    spans.dropped_links.push(chance.below(3) as u32);
    for _ in 0..chance.below(3) {
        let events = &mut spans.events;
        events.time.push(time(chance));
        chance.dict(&mut events.name, "event");
        chance.map(&mut events.attributes, &mut events.attribute_types);
        events.dropped_attributes.push(chance.below(3) as u32);
    }
    spans.events.ends.push(spans.events.time.len() as u32);
    for _ in 0..chance.below(3) {
        let links = &mut spans.links;
        links.trace_id.push(chance.id());
        links.span_id.push(chance.id());
        chance.text(&mut links.trace_state, "state");
        chance.map(&mut links.attributes, &mut links.attribute_types);
        links.dropped_attributes.push(chance.below(3) as u32);
        links.flags.push(chance.number() as u32);
    }
    spans.links.ends.push(spans.links.flags.len() as u32);
    spans.weight.push(chance.double());
    spans.marks.push(chance.number() as u32);
    spans.original_start.push(chance.number());
    spans.original_end.push(chance.number());
    chance.dict(&mut spans.http_route, "route");
    spans.http_status.push(chance.below(600) as u16);
    chance.dict(&mut spans.db_system, "db");
    chance.dict(&mut spans.peer, "peer");
    chance.dict(&mut spans.messaging_destination, "topic");
    chance.dict(&mut spans.db_namespace, "orders");
    chance.dict(&mut spans.messaging_system, "kafka");
    chance.text(&mut spans.local_endpoint, "local");
    chance.text(&mut spans.remote_endpoint, "remote");
    chance.text(&mut spans.original_fields, "original");
}

fn log(batch: &mut Batch, chance: &mut Chance) {
    let (resource, scope) = shared(batch, chance);
    let logs = &mut batch.logs;
    logs.resource.push(resource);
    logs.scope.push(scope);
    logs.time.push(time(chance));
    logs.observed.push(chance.number());
    logs.trace_id.push(chance.id());
    logs.span_id.push(chance.id());
    logs.flags.push(chance.number() as u32);
    chance.dict(&mut logs.severity_text, "severity");
    logs.severity_number.push(chance.below(25) as u8);
    chance.text(&mut logs.body, "body");
    chance.dict(&mut logs.body_type, "type");
    chance.dict(&mut logs.event_name, "event");
    chance.map(&mut logs.attributes, &mut logs.attribute_types);
    logs.dropped_attributes.push(chance.below(3) as u32);
    logs.marks.push(chance.number() as u32);
    logs.original_time.push(chance.number());
    logs.join.push(chance.below(3) as u8);
    chance.dict(&mut logs.join_source, "source");
    logs.pattern_key.push(chance.number());
    chance.text(&mut logs.original_fields, "original");
}

fn metrics(batch: &mut Batch, chance: &mut Chance) {
    let places: [(u32, u32); 5] = std::array::from_fn(|_| shared(batch, chance));
    let metrics = &mut batch.metrics;
    for (points, place) in metrics.points_mut().into_iter().zip(places) {
        point(points, place, chance);
    }
    metrics.gauge.value.push(chance.double());
    metrics.gauge.value_int.push(chance.number() as i64);
    metrics.sum.value.push(chance.double());
    metrics.sum.value_int.push(chance.number() as i64);
    let histogram = &mut metrics.histogram;
    histogram.count.push(chance.number());
    histogram.sum.push(chance.double());
    histogram.min.push(chance.double());
    histogram.max.push(chance.double());
    list(&mut histogram.bucket_ends, &mut histogram.bucket_counts, chance.below(4), || chance.number());
    list(&mut histogram.bound_ends, &mut histogram.bounds, chance.below(3), || chance.double());
    let exponential = &mut metrics.exponential;
    exponential.count.push(chance.number());
    exponential.sum.push(chance.double());
    exponential.min.push(chance.double());
    exponential.max.push(chance.double());
    exponential.scale.push(chance.number() as i32);
    exponential.zero_count.push(chance.number());
    exponential.zero_threshold.push(chance.double());
    exponential.positive_offset.push(chance.number() as i32);
    list(&mut exponential.positive_ends, &mut exponential.positive_counts, chance.below(4), || chance.number());
    exponential.negative_offset.push(chance.number() as i32);
    list(&mut exponential.negative_ends, &mut exponential.negative_counts, chance.below(4), || chance.number());
    let summary = &mut metrics.summary;
    summary.count.push(chance.number());
    summary.sum.push(chance.double());
    let quantiles = chance.below(4);
    list(&mut summary.quantile_ends, &mut summary.quantiles, quantiles, || chance.double());
    summary.values.extend((0..quantiles).map(|_| chance.double()));
}

fn list<T>(ends: &mut Vec<u32>, values: &mut Vec<T>, count: u64, mut value: impl FnMut() -> T) {
    values.extend((0..count).map(|_| value()));
    ends.push(values.len() as u32);
}

fn point(points: &mut Points, (resource, scope): (u32, u32), chance: &mut Chance) {
    if points.descriptors.name.is_empty() || chance.below(3) == 0 {
        descriptor(&mut points.descriptors, chance);
    }
    points.resource.push(resource);
    points.scope.push(scope);
    points.metric.push(chance.below(points.descriptors.name.len() as u64) as u32);
    chance.map(&mut points.attributes, &mut points.attribute_types);
    points.start.push(time(chance));
    points.time.push(time(chance));
    points.original_start.push(chance.number());
    points.original_time.push(chance.number());
    points.flags.push(chance.number() as u32);
    points.marks.push(chance.number() as u32);
    for _ in 0..chance.below(3) {
        exemplar(&mut points.exemplars, chance);
    }
    points.exemplars.ends.push(points.exemplars.value.len() as u32);
}

fn descriptor(descriptors: &mut Descriptors, chance: &mut Chance) {
    chance.dict(&mut descriptors.name, "metric");
    chance.dict(&mut descriptors.description, "description");
    chance.dict(&mut descriptors.unit, "unit");
    chance.map(&mut descriptors.metadata, &mut descriptors.metadata_types);
    descriptors.temporality.push(chance.below(3) as i32);
    descriptors.monotonic.push(chance.below(2) as u8);
}

fn exemplar(exemplars: &mut Exemplars, chance: &mut Chance) {
    chance.map(&mut exemplars.attributes, &mut exemplars.attribute_types);
    exemplars.time.push(time(chance));
    exemplars.value.push(chance.double());
    exemplars.value_int.push(chance.number() as i64);
    exemplars.value_kind.push(chance.below(3) as u8);
    exemplars.span_id.push(chance.id());
    exemplars.trace_id.push(chance.id());
}

fn books(batch: &mut Batch, chance: &mut Chance) {
    let ledger = &mut batch.ledger;
    ledger.time.push(time(chance));
    chance.dict(&mut ledger.sender, "sender");
    chance.dict(&mut ledger.signal, "signal");
    chance.dict(&mut ledger.reason, "reason");
    chance.dict(&mut ledger.outcome, "outcome");
    ledger.items.push(chance.number());
    chance.text(&mut ledger.example, "example");
    let letters = &mut batch.dead_letters;
    letters.time.push(time(chance));
    chance.dict(&mut letters.table, "table");
    chance.text(&mut letters.reason, "reason");
    chance.text(&mut letters.row, "row");
}
