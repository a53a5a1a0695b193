//! Tools about faults: when something looks wrong, who is guilty, what changed.

use std::collections::HashMap;

use serde_json::{Value, json};
use view::graph::{Amount, GraphAnswer, GraphQuestion};
use view::shared::Ns;
use view::suspects::{OddWindow, SuspectsAnswer, SuspectsQuestion};
use view::{TimePoint, TimeRange};

use super::Asked;
use super::envelope::{Reply, without_empty};
use super::look::{HOUR_NS, QUARTER_NS, ms, recent, value};
use crate::answer::Failure;
use crate::changes;

const SUSPECTS: (usize, usize) = (5, 20);
const CHANGES: (usize, usize) = (30, 100);
/// Suspects that are named, windows, nodes and edges that are told when faults are looked for.
const NAMED: usize = 3;
const WINDOWS: usize = 6;
const WORSE: usize = 12;
/// Pieces of evidence of the first suspect, and of the others.
const EVIDENCE: (usize, usize) = (8, 4);
/// With fewer requests nothing is said to be worse.
const REQUESTS_MIN: f64 = 10.0;

/// Whether and when something looks wrong.
pub(super) async fn find(asked: &Asked<'_>) -> Result<Reply, Failure> {
    let view = &asked.app.view;
    let range = recent(asked, ("from", "to"), HOUR_NS)?;
    let whole = (at(range.from, asked), at(range.to, asked));
    let mut windows = view.odd_windows(asked.tenant, range, asked.now_ns).await?;
    windows.drain(..windows.len().saturating_sub(WINDOWS));
    let (from_ns, to_ns) = match windows.last() {
        Some(odd) => (odd.from_ns.0 as i64, odd.to_ns.0 as i64),
        None => (whole.0.max(whole.1.saturating_sub(QUARTER_NS)), whole.1),
    };
    let fault = between(from_ns, to_ns);
    // Beside it: the range before it, or as long a time where there is none.
    let before_ns = if whole.0 < from_ns { whole.0 } else { from_ns.saturating_sub(to_ns - from_ns) };
    let graph = async |range: TimeRange| {
        asked.app.graph(asked.tenant, GraphQuestion { range, ..GraphQuestion::default() }, asked.now_ns).await
    };
    let (before, now) = (graph(between(before_ns, from_ns)).await?, graph(fault).await?);
    let service = asked.params.owned("service");
    let question = SuspectsQuestion { fault, baseline: None, service, limit: Some(NAMED) };
    let answer = view.suspects(asked.tenant, question, asked.now_ns).await?;
    let suspects = answer.suspects.iter().map(|suspect| {
        json!({
            "service": suspect.service,
            "score": suspect.score,
            "confidence": suspect.confidence,
            "summary": suspect.summary,
            "where": value(&suspect.r#where),
            "example_traces": suspect.examples.failing,
        })
    });
    let mut data = json!({
        "now_ns": Ns::from(asked.now_ns),
        "odd_windows": windows.iter().map(odd).collect::<Vec<_>>(),
        "window": {"from_ns": Ns::from(from_ns), "to_ns": Ns::from(to_ns)},
        "verdict": answer.verdict,
        "summary": answer.summary,
        "suspects": suspects.collect::<Vec<_>>(),
        "worse": worse(&before, &now, (from_ns - before_ns, to_ns - from_ns)),
        "partial_reason": answer.partial_reason,
    });
    without_empty(&mut data);
    let looked = match windows.is_empty() {
        true => "No minutes stand out by errors or durations; `window` is the last 15 minutes of the range.",
        false => "`window` is the newest of the odd windows; the others can be explained too.",
    };
    Ok(Reply::new(data, &["worse", "odd_windows", "suspects"])
        .note(looked)
        .note(format!("For evidence: explain_fault with from={from_ns} and to={to_ns}; what is new: compare_windows.")))
}

/// Who is guilty, and why.
pub(super) async fn explain(asked: &Asked<'_>) -> Result<Reply, Failure> {
    let fault = recent(asked, ("from", "to"), QUARTER_NS)?;
    let baseline = asked.params.range_of("baseline_from", "baseline_to")?;
    let baseline = match (baseline.from, baseline.to) {
        (None, None) => None,
        (_, to) => Some(TimeRange { to: to.or(fault.from), ..baseline }),
    };
    let limit = Some(asked.limit(SUSPECTS.0, SUSPECTS.1)?);
    let question = SuspectsQuestion { fault, baseline, service: asked.params.owned("service"), limit };
    let mut answer = asked.app.view.suspects(asked.tenant, question, asked.now_ns).await?;
    shorten(&mut answer);
    let mut data = value(&answer);
    without_empty(&mut data);
    Ok(Reply::new(data, &["suspects"]))
}

/// What changed.
pub(super) async fn compare(asked: &Asked<'_>) -> Result<Reply, Failure> {
    let mut question = changes::question(&asked.params)?;
    question.limit = Some(asked.limit(CHANGES.0, CHANGES.1)?);
    let answer = asked.app.view.changes(asked.tenant, question, asked.now_ns).await?;
    let mut data = value(&answer);
    without_empty(&mut data);
    Ok(Reply::new(data, &["changes"]))
}

// Weak evidence of many suspects is what an assistant can do without.
fn shorten(answer: &mut SuspectsAnswer) {
    for (number, suspect) in answer.suspects.iter_mut().enumerate() {
        suspect.evidence.truncate(if number == 0 { EVIDENCE.0 } else { EVIDENCE.1 });
        suspect.victims.truncate(EVIDENCE.0);
    }
}

fn odd(odd: &OddWindow) -> Value {
    json!({
        "from_ns": odd.from_ns,
        "to_ns": odd.to_ns,
        "error_share": odd.error_share,
        "usual_error_share": odd.usual_error_share,
        "duration_ms": ms(odd.duration_ns.0),
        "usual_duration_ms": ms(odd.usual_duration_ns.0),
    })
}

// What one side shows of a node or an edge.
#[derive(Clone, Copy, Default)]
struct Shown {
    requests: f64,
    errors: f64,
    p95_ns: i128,
}

impl Shown {
    fn of(requests: Amount, errors: Amount, p95_ns: Ns) -> Shown {
        Shown { requests: requests.0, errors: errors.0, p95_ns: p95_ns.0 }
    }

    fn share(self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }
}

fn shown(graph: &GraphAnswer) -> HashMap<String, Shown> {
    let nodes = graph.nodes.iter().map(|one| (one.id.clone(), Shown::of(one.requests, one.errors, one.p95_ns)));
    let edges = graph
        .edges
        .iter()
        .map(|one| (format!("{} -> {}", one.source, one.target), Shown::of(one.requests, one.errors, one.p95_ns)));
    nodes.chain(edges).collect()
}

// Nodes and edges that fail, drag or are gone, the worst first.
fn worse(before: &GraphAnswer, now: &GraphAnswer, (before_ns, now_ns): (i64, i64)) -> Vec<Value> {
    let (before, now) = (shown(before), shown(now));
    let length = now_ns.max(1) as f64 / before_ns.max(1) as f64;
    let mut found: Vec<(f64, &str, Value)> = Vec::new();
    for (name, is) in &now {
        let was = before.get(name).copied().unwrap_or_default();
        let is_many = is.requests >= REQUESTS_MIN;
        let fails = is_many && is.share() - was.share() >= 0.01 && is.share() >= 2.0 * was.share();
        let slower = is.p95_ns as f64 / was.p95_ns.max(1) as f64;
        let drags = is_many && was.requests >= REQUESTS_MIN && slower >= 1.5;
        if fails || drags {
            let score = (is.share() - was.share()).max(0.0) + if drags { 1.0 - 1.0 / slower } else { 0.0 };
            found.push((score, name, told(name, was, *is)));
        }
    }
    for (name, was) in &before {
        if !now.contains_key(name) && was.requests * length >= REQUESTS_MIN {
            found.push((1.0, name, told(name, *was, Shown::default())));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    found.into_iter().take(WORSE).map(|(_, _, told)| told).collect()
}

fn told(name: &str, was: Shown, is: Shown) -> Value {
    let side = |shown: Shown| {
        let share = (shown.share() * 10_000.0).round() / 10_000.0;
        json!({"requests": shown.requests.round(), "error_share": share, "p95_ms": ms(shown.p95_ns)})
    };
    json!({"name": name, "before": side(was), "now": side(is)})
}

fn between(from_ns: i64, to_ns: i64) -> TimeRange {
    TimeRange { from: Some(TimePoint::At(from_ns)), to: Some(TimePoint::At(to_ns)) }
}

fn at(point: Option<TimePoint>, asked: &Asked<'_>) -> i64 {
    point.map_or(asked.now_ns, |point| point.at(asked.now_ns))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use view::graph::GraphNode;

    use super::*;

    fn graph(drawn: &[(&str, f64, f64, i64)]) -> GraphAnswer {
        let node = |(name, requests, errors, p95_ms): &(&str, f64, f64, i64)| GraphNode {
            id: format!("service:{name}"),
            name: (*name).to_owned(),
            kind: "service",
            requests: Amount(*requests),
            errors: Amount(*errors),
            p50_ns: Ns(0),
            p95_ns: Ns(i128::from(*p95_ms) * 1_000_000),
            p99_ns: Ns(0),
            unpaired: BTreeMap::new(),
            rank: 0,
            x: 0.0,
            y: 0.0,
        };
        GraphAnswer {
            nodes: drawn.iter().map(node).collect(),
            edges: Vec::new(),
            from_ns: Ns(0),
            to_ns: Ns(0),
            rolled_to_ns: None,
            partial: false,
            partial_reason: None,
        }
    }

    // Scenario: services that fail, drag, are gone, rest as they were, or are hardly asked.
    // Guarantee: the first three are told, the worst first; shares and latencies of both sides.
    #[test]
    fn what_got_worse() {
        let before = graph(&[("a", 100.0, 1.0, 10), ("b", 100.0, 0.0, 10), ("c", 100.0, 0.0, 10), ("d", 90.0, 0.0, 9)]);
        let now = graph(&[("a", 100.0, 60.0, 10), ("b", 100.0, 0.0, 20), ("d", 90.0, 0.0, 9), ("e", 3.0, 3.0, 10)]);
        let found = worse(&before, &now, (60, 60));
        let names: Vec<&Value> = found.iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["service:c", "service:a", "service:b"]);
        assert_eq!(found[1]["now"], json!({"requests": 100.0, "error_share": 0.6, "p95_ms": 10.0}));
        assert!(worse(&graph(&[]), &graph(&[]), (60, 0)).is_empty());
    }
}
