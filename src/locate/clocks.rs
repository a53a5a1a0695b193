//! Clocks that are wrong. A clock belongs to a machine, not to a service, and breaks times, not requests: it is a
//! notice beside the suspects.
//!
//! What a machine ahead of the others receives seems to come too late, what the others receive from it too early.
//! So both sides of every call look wrong; the machine that is alone on its side is the one.

use std::collections::BTreeMap;

use model::evidence::{AttributeRow, Count, Evidence};

use crate::ask::Question;
use crate::report::{EvidenceItem, EvidenceKind, Place};
use crate::stats::{g_signed, share, strength};
use crate::words::percent;

/// What tells machines apart, the best first; the clock of a pod is its machine's.
const KEYS: [&str; 6] =
    ["host.name", "k8s.node.name", "host.id", "k8s.pod.name", "service.instance.id", "container.id"];

const ROOT_G_NOISE: f64 = 2.0;
const ROOT_G_HALF: f64 = 3.0;
/// Below this strength nothing is said; above the other, a machine counts for its side: one that is missing there would
/// make the others' side the smaller one.
const WORTH_TELLING: f64 = 0.1;
const WORTH_COUNTING: f64 = 0.03;

#[derive(Clone, Copy)]
struct Side<'a> {
    machine: &'a str,
    before: f64,
    now: f64,
    score: f64,
}

/// The machine whose clock is wrong, if one is.
pub(crate) fn notices(question: &Question) -> Vec<EvidenceItem> {
    KEYS.iter().find_map(|key| notice(question, key)).into_iter().collect()
}

fn notice(question: &Question, key: &str) -> Option<EvidenceItem> {
    let late = side(question, key, |row| row.late);
    let early = side(question, key, |row| row.early);
    let total = |side: &[Side]| side.iter().map(|machine| machine.score).sum::<f64>();
    // The fewer machines are on a side, the less can it be all the others that are wrong.
    let is_late = match late.len().cmp(&early.len()) {
        std::cmp::Ordering::Less => !late.is_empty(),
        std::cmp::Ordering::Greater => early.is_empty(),
        std::cmp::Ordering::Equal => total(&late) >= total(&early),
    };
    let machines = if is_late { &late } else { &early };
    let wrong = machines.iter().max_by(|a, b| a.score.total_cmp(&b.score).then_with(|| b.machine.cmp(a.machine)))?;
    if wrong.score < WORTH_TELLING {
        return None;
    }
    let (way, seems) = if is_late { ("ahead", "end after") } else { ("behind", "begin before") };
    Some(EvidenceItem {
        kind: EvidenceKind::Clock,
        subject: format!("{key}={}", wrong.machine),
        baseline: percent(wrong.before),
        fault: percent(wrong.now),
        score: wrong.score,
        text: format!(
            "the clock of {} ({key}) is {way}: {} of the calls that it receives seem to {seems} their caller's span, {} before",
            wrong.machine,
            percent(wrong.now),
            percent(wrong.before)
        ),
        place: Place { instance: wrong.machine.to_owned(), ..Place::default() },
    })
}

// The machines on one side, by how surely.
fn side<'a>(question: &Question<'a>, key: &str, skewed: fn(&AttributeRow) -> Count) -> Vec<Side<'a>> {
    let sums = |evidence: &'a Evidence| {
        let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for row in evidence.attributes.iter().filter(|row| row.key == key) {
            let sum = sums.entry(&row.value).or_default();
            *sum = (sum.0 + skewed(row).spans() as f64, sum.1 + row.spans.spans() as f64);
        }
        sums
    };
    let (before, now) = (sums(question.baseline), sums(question.fault));
    let machine = |(machine, of): (&&'a str, &(f64, f64))| {
        let usual = before.get(machine).copied().unwrap_or_default();
        let g = g_signed(usual.0, usual.1, of.0, of.1);
        let (before, now) = (share(usual.0, usual.1), share(of.0, of.1));
        let score = (now - before).max(0.0) * strength(g.max(0.0).sqrt() - ROOT_G_NOISE, ROOT_G_HALF);
        Side { machine, before, now, score }
    };
    now.iter().map(machine).filter(|side| side.score >= WORTH_COUNTING).collect()
}
