//! Traces to look at: some that show the evidence, some that could have and do not.

use model::evidence::Sample;

use crate::explain::{Marks, marks, shows};
use crate::finding::Finding;
use crate::report::{Example, Examples};

const EXAMPLES: usize = 3;

/// The marks of all findings in both samples.
#[derive(Debug)]
pub(crate) struct Album<'a> {
    baseline: &'a Sample,
    fault: &'a Sample,
    marks: (Marks, Marks),
}

impl<'a> Album<'a> {
    pub(crate) fn new(baseline: &'a Sample, fault: &'a Sample, findings: &[Finding]) -> Album<'a> {
        Album { baseline, fault, marks: (marks(baseline, findings), marks(fault, findings)) }
    }

    /// Of a finding, by its place. Good ones are of the baseline, else of the fault window.
    pub(crate) fn examples(&self, finding: usize) -> Examples {
        let mut good = pick(self.baseline, &self.marks.0, finding, false);
        if good.is_empty() {
            good = pick(self.fault, &self.marks.1, finding, false);
        }
        Examples { failing: pick(self.fault, &self.marks.1, finding, true), good }
    }
}

// Failing ones: those that failed first, then the slowest spans. Good ones: neither, and the most usual.
fn pick(sample: &Sample, marks: &Marks, finding: usize, failing: bool) -> Vec<Example> {
    let mut found: Vec<(bool, u64, u128, u64)> = Vec::new();
    for trace in &sample.traces {
        let spans = trace.spans.iter().enumerate().filter(|(_, span)| {
            marks.get(&span.service).is_some_and(|marks| marks.iter().any(|(of, _)| *of == finding))
        });
        let shown = spans.filter_map(|(place, span)| {
            let own = marks.get(&span.service)?.iter().find(|(of, _)| *of == finding)?;
            Some((span, shows(trace, place, own.1)?))
        });
        let mut shown: Vec<_> = shown.collect();
        // A good one shows it nowhere.
        if !failing && (trace.failed || shown.iter().any(|(_, hit)| *hit)) {
            continue;
        }
        shown.retain(|(_, hit)| *hit == failing);
        if let Some((span, _)) = shown.iter().max_by_key(|(span, _)| (span.duration_ns, span.span_id)) {
            found.push((trace.failed, span.duration_ns, trace.trace_id, span.span_id));
        }
    }
    found.sort_by(|a, b| (b.0, b.1, a.2).cmp(&(a.0, a.1, b.2)));
    let skip = if failing { 0 } else { found.len().saturating_sub(EXAMPLES) / 2 };
    found
        .iter()
        .skip(skip)
        .take(EXAMPLES)
        .map(|(_, _, trace_id, span_id)| Example { trace_id: *trace_id, span_id: *span_id })
        .collect()
}
