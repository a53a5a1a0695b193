//! Causes and consequences within traces: what happens in a span mainly when something below it is odd as well
//! is a consequence; what happens as often without is the service's own.

use std::collections::BTreeMap;

use model::evidence::{Sample, SampleSpan, SampleTrace};

use crate::finding::{Channel, Finding, Sign};

/// A finding this strong makes a span odd.
const ODD: f64 = 0.25;

/// A finding as a trace's own numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    Has { operation: u32, event: u64 },
    Lacks { operation: u32, after: u64, event: u64 },
    Gap { caller: u32, above_ns: f64 },
    OwnTime { operation: u32, above_ns: f64 },
    Origin { operation: u32 },
    Silent { operation: u32 },
    Repeats { operation: u32 },
    Instance { value: u32 },
}

/// The findings with a sign, by the number of their service in a sample.
pub(crate) type Marks = BTreeMap<u32, Vec<(usize, Mark)>>;

/// Looks up the signs of findings in a sample.
pub(crate) fn marks(sample: &Sample, findings: &[Finding]) -> Marks {
    let numbers = numbers(sample);
    let number = |name: &str| numbers.get(name).copied();
    let mut marks = Marks::new();
    for (place, found) in findings.iter().enumerate() {
        let mark = match &found.sign {
            Sign::None => None,
            Sign::Has { operation, event } => number(operation).map(|operation| Mark::Has { operation, event: *event }),
            Sign::Lacks { operation, after, event } => {
                number(operation).map(|operation| Mark::Lacks { operation, after: *after, event: *event })
            }
            Sign::Gap { caller, above_ns, .. } => {
                number(caller).map(|caller| Mark::Gap { caller, above_ns: *above_ns })
            }
            Sign::OwnTime { operation, above_ns } => {
                number(operation).map(|operation| Mark::OwnTime { operation, above_ns: *above_ns })
            }
            Sign::Origin { operation } => number(operation).map(|operation| Mark::Origin { operation }),
            Sign::Silent { operation, .. } => number(operation).map(|operation| Mark::Silent { operation }),
            Sign::Repeats { operation, .. } => number(operation).map(|operation| Mark::Repeats { operation }),
            Sign::Instance { value } => number(value).map(|value| Mark::Instance { value }),
        };
        // A gap shows where the call arrives.
        let service = match &found.sign {
            Sign::Gap { callee, .. } => callee,
            Sign::Silent { caller, .. } | Sign::Repeats { caller, .. } => caller,
            _ => &found.service,
        };
        if let (Some(service), Some(mark)) = (number(service), mark) {
            marks.entry(service).or_default().push((place, mark));
        }
    }
    marks
}

/// Whether a span could show the mark, and whether it does.
pub(crate) fn shows(trace: &SampleTrace, place: usize, mark: Mark) -> Option<bool> {
    let span = trace.spans.get(place)?;
    let parent = || span.parent.and_then(|parent| trace.spans.get(parent as usize));
    match mark {
        Mark::Has { operation, event } => (span.operation == operation).then(|| trace.events_of(span).contains(&event)),
        Mark::Lacks { operation, after, event } => {
            if span.operation != operation {
                return None;
            }
            let events = trace.events_of(span);
            let next = if after == model::evidence::START {
                Some(events.first())
            } else {
                events.iter().position(|known| *known == after).map(|place| events.get(place + 1))
            };
            next.map(|next| next != Some(&event))
        }
        Mark::Gap { caller, above_ns } => {
            let gap_ns = span.gap_ns.filter(|_| parent().is_some_and(|parent| parent.service == caller))?;
            Some(gap_ns as f64 > above_ns)
        }
        Mark::OwnTime { operation, above_ns } => {
            (span.operation == operation && !span.is_caller).then_some(span.self_ns as f64 > above_ns)
        }
        Mark::Origin { operation } => (span.operation == operation).then_some(span.is_origin),
        Mark::Silent { operation } => (span.operation == operation).then_some(!span.is_caller),
        Mark::Repeats { operation } => {
            // Siblings stand side by side, in order of time.
            let same = |other: &SampleSpan| other.parent == span.parent && other.operation == operation;
            let next = trace.spans.get(place + 1).is_some_and(same);
            (span.operation == operation && span.parent.is_some()).then_some(next)
        }
        Mark::Instance { value } => Some((span.instance == value || span.version == value) && span.error),
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    // Without and with something odd below: spans, spans with the sign.
    spans: [f64; 2],
    hits: [f64; 2],
}

/// For every finding the share of it that nothing below explains, 0 to 1.
pub(crate) fn own_shares(sample: &Sample, findings: &[Finding]) -> Vec<f64> {
    let marks = marks(sample, findings);
    let numbers = numbers(sample);
    let services: Vec<Option<u32>> =
        findings.iter().map(|found| numbers.get(found.service.as_str()).copied()).collect();
    let mut tallies = vec![Tally::default(); findings.len()];
    for trace in &sample.traces {
        let odd = odd_spans(trace, findings, &marks, &services);
        let below = odd_below(trace, &odd);
        for (place, span) in trace.spans.iter().enumerate() {
            for (found, mark) in marks.get(&span.service).into_iter().flatten() {
                if let Some(hit) = shows(trace, place, *mark) {
                    // What is odd at the span itself may be another's, too: a call that nobody answers.
                    let at_or_below = below[place].iter().chain([&odd[place]]).flatten();
                    let side = usize::from(at_or_below.into_iter().any(|service| *service != span.service));
                    tallies[*found].spans[side] += 1.0;
                    tallies[*found].hits[side] += f64::from(u8::from(hit));
                }
            }
        }
    }
    let own = |(found, tally): (&Finding, &Tally)| match found.channel {
        Channel::Steps | Channel::Errors => own_share(tally),
        _ => 1.0,
    };
    findings.iter().zip(&tallies).map(own).collect()
}

// The rate without anything odd below over the rate with it. Few spans say little: then it is its own.
fn own_share(tally: &Tally) -> f64 {
    if tally.hits[1] == 0.0 {
        return 1.0;
    }
    let rate = |side: usize| (tally.hits[side] + 0.5) / (tally.spans[side] + 1.0);
    (rate(0) / rate(1)).clamp(0.0, 1.0)
}

// The service that the strongest finding of each span speaks against. One that has no span in the sample has no
// number; it is told from all others by a number that nobody has.
fn odd_spans(trace: &SampleTrace, findings: &[Finding], marks: &Marks, services: &[Option<u32>]) -> Vec<Option<u32>> {
    let odd = |(place, span): (usize, &SampleSpan)| {
        let strong = marks.get(&span.service)?.iter().filter(|(found, _)| findings[*found].strength >= ODD);
        let shown = strong.filter(|(_, mark)| shows(trace, place, *mark) == Some(true)).map(|(found, _)| *found);
        // Another's comes before its own: that is what its own may be a consequence of.
        let rank = |found: &usize| (services[*found] != Some(span.service), findings[*found].strength);
        let best = shown.max_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then_with(|| a.1.total_cmp(&b.1))
        })?;
        Some(services[best].unwrap_or(u32::MAX))
    };
    trace.spans.iter().enumerate().map(odd).collect()
}

fn numbers(sample: &Sample) -> BTreeMap<&str, u32> {
    sample.names.iter().enumerate().map(|(number, name)| (name.as_str(), number as u32)).collect()
}

// Up to two services that are odd below each span: two are enough to know whether another than its own is.
fn odd_below(trace: &SampleTrace, odd: &[Option<u32>]) -> Vec<[Option<u32>; 2]> {
    let mut below = vec![[None; 2]; trace.spans.len()];
    for place in (0..trace.spans.len()).rev() {
        let span = &trace.spans[place];
        let Some(parent) = span.parent.map(|parent| parent as usize).filter(|parent| *parent < place) else { continue };
        for service in below[place].into_iter().chain([odd[place]]).flatten() {
            let known: &mut [Option<u32>; 2] = &mut below[parent];
            if !known.contains(&Some(service))
                && let Some(free) = known.iter_mut().find(|known| known.is_none())
            {
                *free = Some(service);
            }
        }
    }
    below
}
