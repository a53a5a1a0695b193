//! Traces one by one, for `locate`.

use model::evidence::Sample;

use crate::graph::{Name, Names};

use super::digest::Digest;
use super::minute::each_trace;
use super::span::{EvidenceLog, EvidenceSpan};
use super::texts::{Texts, mix};

/// Traces of a sample.
pub const TRACES_MAX: usize = 4_000;

/// The traces of some spans and logs as `Minute::add` takes them; of more than [`TRACES_MAX`] a fixed choice.
pub fn sample(names: &Names, spans: &[EvidenceSpan], logs: &[EvidenceLog], senders: &[EvidenceSpan]) -> Sample {
    let mut texts = Texts::default();
    texts.update(names);
    let mut ids: Vec<u64> = spans.iter().map(|span| span.at.trace_low).collect();
    ids.sort_unstable();
    ids.dedup();
    let rank = |id: u64| mix(id, 0);
    let mut ranks: Vec<u64> = ids.into_iter().map(rank).collect();
    ranks.sort_unstable();
    let limit = ranks.get(TRACES_MAX).copied().unwrap_or(u64::MAX);
    let mut digest = Digest::default();
    let mut traces = Vec::new();
    each_trace((names, &texts), spans, logs, senders, |source, rows, lines| {
        let id = rows.first().map_or(0, |row| spans[*row as usize].at.trace_low);
        if limit == u64::MAX || rank(id) < limit {
            digest.load(source, rows, lines);
            traces.push(digest.trace.clone());
        }
    });
    let texts = (0..names.len() as u32).map(|number| names.text(Name::of_number(number)).to_owned());
    Sample { names: texts.collect(), traces }
}
