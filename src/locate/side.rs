//! One side of a comparison: everything that can be new or vanish, how often it was seen, and which requests have it.

use std::collections::{BTreeMap, BTreeSet};

use model::evidence::{Count, EdgeType, EventKind, EventRow, Evidence, Sample, SampleSpan, SampleTrace};

use crate::stats::share;

/// The attribute that names a version.
pub(crate) const VERSION: &str = "service.version";
/// The attribute that names an instance.
pub(crate) const INSTANCE: &str = "service.instance.id";

/// Something that can be new or vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing<'a> {
    Service { service: &'a str },
    Edge { caller: &'a str, callee: &'a str },
    Operation { service: &'a str, operation: &'a str },
    Error { service: &'a str, operation: &'a str, what: &'a str },
    Pattern { service: &'a str, event: u64 },
    Value { service: &'a str, key: &'a str, value: &'a str },
}

impl<'a> Thing<'a> {
    /// The service that it belongs to; of an edge, the one that calls.
    pub(crate) fn service(self) -> &'a str {
        match self {
            Thing::Service { service }
            | Thing::Operation { service, .. }
            | Thing::Error { service, .. }
            | Thing::Pattern { service, .. }
            | Thing::Value { service, .. } => service,
            Thing::Edge { caller, .. } => caller,
        }
    }

    fn is_of(self, service: &str) -> bool {
        self.service() == service || matches!(self, Thing::Edge { callee, .. } if callee == service)
    }
}

/// Which of the requests have something: the share of the failing ones, and of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Held {
    pub(crate) failing: f64,
    pub(crate) good: f64,
}

/// One side.
#[derive(Debug, Default)]
pub(crate) struct Side<'a> {
    pub(crate) seen: BTreeMap<Thing<'a>, Count>,
    pub(crate) held: BTreeMap<Thing<'a>, Held>,
    /// Requests.
    pub(crate) requests: Count,
    /// Those of them that failed.
    pub(crate) failed: Count,
    // Spans that entered each service, as far as attributes tell.
    work: BTreeMap<&'a str, Count>,
    // Operations of which calls are told as edges.
    pub(crate) calling: BTreeMap<(&'a str, &'a str), &'a str>,
    pub(crate) events: BTreeMap<u64, &'a EventRow>,
}

impl<'a> Side<'a> {
    /// A window, with some of its traces where they are known; of one service only, or of all.
    pub(crate) fn of_window(rows: &'a Evidence, sample: Option<&'a Sample>, service: Option<&str>) -> Side<'a> {
        let mut side = Side::default();
        for row in &rows.requests {
            side.requests.add(row.requests);
            side.failed.add(row.failed);
        }
        for row in &rows.operations {
            side.see(Thing::Service { service: &row.service }, row.spans);
            if !row.is_caller {
                side.see(Thing::Operation { service: &row.service, operation: &row.operation }, row.spans);
            }
        }
        for row in rows.edges.iter().filter(|row| !row.callee.is_empty()) {
            side.see(Thing::Edge { caller: &row.caller, callee: &row.callee }, row.calls);
            if matches!(row.edge, EdgeType::Database | EdgeType::External) {
                side.calling.insert((&row.caller, &row.operation), &row.callee);
            }
        }
        side.events = rows.events.iter().map(|row| (row.event, row)).collect();
        side.see_rows(rows);
        if let Some(sample) = sample {
            side.hold(sample, |_| true, |trace, spans, out| whole_trace(sample, trace, spans, out));
            side.hold_rows(rows);
        }
        if let Some(service) = service {
            side.seen.retain(|thing, _| thing.is_of(service));
        }
        side
    }

    /// A version of a service, as some traces show it.
    pub(crate) fn of_version(rows: &'a Evidence, sample: &'a Sample, service: &'a str, version: &str) -> Side<'a> {
        let mut side = Side { events: rows.events.iter().map(|row| (row.event, row)).collect(), ..Side::default() };
        let is_it = |span: &SampleSpan| sample.name(span.service) == service && sample.name(span.version) == version;
        for trace in &sample.traces {
            let count = Count::new(trace.weight);
            for span in trace.spans.iter().filter(|span| is_it(span)) {
                let above = span.parent.and_then(|place| trace.spans.get(place as usize));
                // Its requests are its spans that come from elsewhere.
                if above.is_none_or(|above| !is_it(above)) {
                    side.requests.add(count);
                    side.failed.add(if span.error { count } else { Count::default() });
                }
            }
            let mut all = Vec::new();
            of_version(sample, trace, &side.events, &is_it, &mut all);
            all.into_iter().for_each(|thing| side.see(thing, count));
        }
        let events = std::mem::take(&mut side.events);
        let has_it = |trace: &SampleTrace| trace.spans.iter().any(is_it);
        side.hold(sample, has_it, |trace, _, out| of_version(sample, trace, &events, &is_it, out));
        side.events = events;
        side
    }

    /// Of how many it is a share: spans that entered the service for what stands on them, else requests.
    pub(crate) fn base(&self, thing: Thing<'_>) -> Count {
        match thing {
            Thing::Value { service, .. } => match self.work.get(service) {
                Some(work) => *work,
                // Its spans told nothing.
                None => self.seen.get(&Thing::Service { service }).copied().unwrap_or_default(),
            },
            _ => self.requests,
        }
    }

    fn see(&mut self, thing: Thing<'a>, count: Count) {
        if !count.is_empty() {
            self.seen.entry(thing).or_default().add(count);
        }
    }

    fn see_rows(&mut self, rows: &'a Evidence) {
        for row in &rows.origins {
            let thing = Thing::Error { service: &row.service, operation: &row.operation, what: &row.what };
            self.see(thing, row.starts);
        }
        for row in &rows.patterns {
            self.see(Thing::Pattern { service: &row.service, event: row.event }, row.lines);
        }
        for values in rows.attributes.chunk_by(|a, b| a.service == b.service && a.key == b.key) {
            let all = values.iter().map(|row| row.spans).fold(Count::default(), Count::plus);
            let work = self.work.entry(&values[0].service).or_default();
            *work = (*work).max(all);
            for row in values {
                self.see(Thing::Value { service: &row.service, key: &row.key, value: &row.value }, row.spans);
            }
        }
    }

    // What the rows know of all requests, and not only of some.
    fn hold_rows(&mut self, rows: &'a Evidence) {
        let failed = self.failed.weight();
        let good = self.requests.minus(self.failed).weight();
        for row in &rows.origins {
            let thing = Thing::Error { service: &row.service, operation: &row.operation, what: &row.what };
            let held = Held {
                failing: share(row.failed.weight(), failed),
                good: share(row.starts.minus(row.failed).weight(), good),
            };
            self.held.insert(thing, held);
        }
        for row in &rows.patterns {
            let held = Held { failing: share(row.failing.weight(), failed), good: share(row.good.weight(), good) };
            self.held.insert(Thing::Pattern { service: &row.service, event: row.event }, held);
        }
        for values in rows.attributes.chunk_by(|a, b| a.service == b.service && a.key == b.key) {
            if [VERSION, INSTANCE].contains(&values[0].key.as_str()) {
                continue;
            }
            // Rows count the service's own outcomes; as many requests have it as come here at all.
            let here = self.held.get(&Thing::Service { service: &values[0].service }).copied().unwrap_or_default();
            let errors: f64 = values.iter().map(|row| row.errors.weight()).sum();
            let fine: f64 = values.iter().map(|row| row.spans.minus(row.errors).weight()).sum();
            for row in values {
                let held = Held {
                    failing: here.failing * share(row.errors.weight(), errors),
                    good: here.good * share(row.spans.minus(row.errors).weight(), fine),
                };
                self.held.insert(Thing::Value { service: &row.service, key: &row.key, value: &row.value }, held);
            }
        }
    }

    // Asks of each trace what it has, once.
    fn hold(
        &mut self,
        sample: &'a Sample,
        counts: impl Fn(&SampleTrace) -> bool,
        of: impl Fn(&'a SampleTrace, &BTreeMap<(&'a str, &'a str), &'a str>, &mut Vec<Thing<'a>>),
    ) {
        let mut sums: BTreeMap<Thing<'a>, (f64, f64)> = BTreeMap::new();
        let (mut failing, mut good) = (0.0, 0.0);
        let mut all = Vec::new();
        for trace in sample.traces.iter().filter(|trace| counts(trace)) {
            *if trace.failed { &mut failing } else { &mut good } += trace.weight;
            all.clear();
            of(trace, &self.calling, &mut all);
            for thing in all.iter().collect::<BTreeSet<_>>() {
                let sum = sums.entry(*thing).or_default();
                *if trace.failed { &mut sum.0 } else { &mut sum.1 } += trace.weight;
            }
        }
        let held = |(f, g)| Held { failing: share(f, failing), good: share(g, good) };
        self.held = sums.into_iter().map(|(thing, sum)| (thing, held(sum))).collect();
    }
}

fn whole_trace<'a>(
    sample: &'a Sample,
    trace: &SampleTrace,
    calling: &BTreeMap<(&'a str, &'a str), &'a str>,
    out: &mut Vec<Thing<'a>>,
) {
    for span in &trace.spans {
        let (service, operation) = (sample.name(span.service), sample.name(span.operation));
        out.push(Thing::Service { service });
        out.push(Thing::Operation { service, operation });
        for (key, value) in [(VERSION, span.version), (INSTANCE, span.instance)] {
            out.push(Thing::Value { service, key, value: sample.name(value) });
        }
        if let Some(above) = span.parent.and_then(|place| trace.spans.get(place as usize))
            && above.service != span.service
        {
            out.push(Thing::Edge { caller: sample.name(above.service), callee: service });
        }
        if let Some(callee) = calling.get(&(service, operation)) {
            out.push(Thing::Edge { caller: service, callee });
        }
    }
}

fn of_version<'a>(
    sample: &'a Sample,
    trace: &'a SampleTrace,
    events: &BTreeMap<u64, &'a EventRow>,
    is_it: &impl Fn(&SampleSpan) -> bool,
    out: &mut Vec<Thing<'a>>,
) {
    for span in &trace.spans {
        let (service, operation) = (sample.name(span.service), sample.name(span.operation));
        let above = span.parent.and_then(|place| trace.spans.get(place as usize));
        if let Some(above) = above.filter(|above| is_it(above) && above.service != span.service) {
            out.push(Thing::Edge { caller: sample.name(above.service), callee: service });
        }
        if !is_it(span) {
            continue;
        }
        out.push(Thing::Operation { service, operation });
        if span.is_origin {
            out.push(Thing::Error { service, operation, what: "" });
        }
        let lines = trace.events_of(span).iter().filter(|event| {
            // What is no log is told as an operation, edge or error.
            events.get(event).is_some_and(|row| row.kind == EventKind::Log)
        });
        out.extend(lines.map(|event| Thing::Pattern { service, event: *event }));
    }
}
