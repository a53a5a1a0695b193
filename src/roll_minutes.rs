//! From the stored spans of some minutes to their graphs. Nothing is decided here: spans are read
//! narrow, references that lead out of a minute are looked up, `correlate::graph` pairs.
//!
//! What a reference finds depends on the minute and on what is stored, never on how minutes were put
//! together for reading: spans with the id in the minute before, this one and the one after; if there
//! are none, in the quarter of an hour before; if there are none, where the trace index says that the
//! trace lies.

use std::collections::{HashMap, HashSet};

use correlate::graph::{GraphSpan, MINUTE_NS, Minute, MinuteGraph, Names, RULE, Reason, SpanRef};
use store::LookupError;
use store::rollup::{AnswerRow, MinuteRow, MinuteState, Rolling, Which};
use view::edge::narrow;

/// Spans that are held at once; a larger minute is read in parts that keep traces whole.
pub(crate) const SPANS_MAX: u64 = 250_000;
/// Minutes before and after in which references are looked for first.
const NEAR: (i64, i64) = (1, 1);
/// And then.
const FAR: (i64, i64) = (15, 1);
/// Traces that are looked up in the trace index for one batch; the rest counts as not stored.
const TRACES_MAX: usize = 5_000;
/// References that are looked up with one question.
const IDS_AT_ONCE: usize = 10_000;
/// Traces of one look-up by the index.
const TRACES_AT_ONCE: usize = 200;

/// A minute to be rolled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Minutes since the epoch.
    pub(crate) minute: i64,
    /// Whether references that were not found last time are looked for again: one of them has come.
    pub(crate) relook: bool,
}

/// A minute that was rolled.
#[derive(Clone, Debug)]
pub(crate) struct Rolled {
    /// Minutes since the epoch.
    pub(crate) minute: i64,
    /// Stored spans that were read, repetitions included.
    pub(crate) spans: u64,
    /// The new generation but for who wrote it and when; `None` where retention has taken spans away
    /// since the last one: then that one stays.
    pub(crate) row: Option<MinuteRow>,
    /// Minutes that its answers name, or named before.
    pub(crate) targets: Vec<i64>,
}

impl Rolled {
    /// What a minute's spans and the answers to them give; `before`: the last generation.
    pub(crate) fn new(
        tenant: &str,
        minute: i64,
        spans: u64,
        answered: u64,
        graph: MinuteGraph,
        before: Option<&MinuteState>,
    ) -> Rolled {
        let mut targets: Vec<i64> = graph.answers.iter().map(|answer| answer.minute_ns / MINUTE_NS).collect();
        targets.extend(before.iter().flat_map(|state| &state.targets));
        targets.sort_unstable();
        targets.dedup();
        let shrunk = before.map_or(spans == 0, |state| spans < state.spans);
        let row = (!shrunk).then(|| row(tenant, minute, spans, answered, graph));
        Rolled { minute, spans, row, targets }
    }
}

/// Rolls consecutive minutes of one tenant, which hold about `spans` spans together.
pub(crate) async fn roll(
    rolling: &Rolling,
    tenant: &str,
    wishes: &[Wish],
    states: &HashMap<i64, MinuteState>,
    spans: u64,
) -> Result<Vec<Rolled>, LookupError> {
    let minutes: Vec<i64> = wishes.iter().map(|wish| wish.minute).collect();
    let mut batch = Batch {
        rolling,
        tenant,
        known_missing: known_missing(rolling, tenant, wishes).await?,
        answers: answers(rolling.answers(tenant, &minutes).await?),
        graphs: minutes.iter().map(|minute| (*minute, Minute::new(minute * MINUTE_NS))).collect(),
        read: HashMap::new(),
        digests: HashMap::new(),
        done: HashMap::new(),
    };
    let parts = if let [minute] = minutes[..] {
        let parts = spans.div_ceil(SPANS_MAX).max(1);
        for part in 0..parts {
            let which = if parts == 1 { Which::All } else { Which::Part { part, of: parts } };
            batch.read(&[minute], which).await?;
        }
        parts
    } else {
        batch.read(&minutes, Which::All).await?;
        1
    };
    if parts > 1 {
        batch.finish(minutes[0]);
    }
    let Batch { read, digests, mut done, .. } = batch;
    Ok(minutes
        .into_iter()
        .map(|minute| {
            let graph = done.remove(&minute).unwrap_or_default();
            let spans = read.get(&minute).copied().unwrap_or(0);
            let answered = digests.get(&minute).copied().unwrap_or(0);
            Rolled::new(tenant, minute, spans, answered, graph, states.get(&minute))
        })
        .collect())
}

/// A number for a set of answers, whatever their order; 0 for none.
pub(crate) fn digest(answers: impl IntoIterator<Item = SpanRef>) -> u64 {
    answers.into_iter().fold(0, |sum: u64, at| {
        // splitmix64's mixing of both halves.
        let mut x = at.trace_low ^ at.span_id.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        sum.wrapping_add((x ^ (x >> 31)) | 1)
    })
}

/// Answers by the minute that they name and the minute that they come from.
pub(crate) type Answers = HashMap<i64, HashMap<i64, Vec<SpanRef>>>;

/// Puts answers in order.
pub(crate) fn answers(rows: Vec<AnswerRow>) -> Answers {
    let mut answers = Answers::new();
    for row in rows {
        let at = SpanRef { trace_low: row.low, span_id: row.id };
        answers.entry(row.target).or_default().entry(row.source).or_default().push(at);
    }
    answers
}

/// All that name a minute, each once.
pub(crate) fn naming(answers: &Answers, minute: i64) -> HashSet<SpanRef> {
    answers.get(&minute).into_iter().flat_map(HashMap::values).flatten().copied().collect()
}

struct Batch<'a> {
    rolling: &'a Rolling,
    tenant: &'a str,
    known_missing: HashMap<i64, HashSet<SpanRef>>,
    answers: Answers,
    graphs: HashMap<i64, Minute>,
    read: HashMap<i64, u64>,
    digests: HashMap<i64, u64>,
    done: HashMap<i64, MinuteGraph>,
}

impl Batch<'_> {
    // Reads and pairs: all spans of the minutes, or a part of one minute's.
    async fn read(&mut self, minutes: &[i64], which: Which<'_>) -> Result<(), LookupError> {
        let (Some(first), Some(last)) = (minutes.first(), minutes.last()) else { return Ok(()) };
        let window = (first * MINUTE_NS, (last + 1) * MINUTE_NS);
        let mut names = Names::default();
        let mut spans: HashMap<i64, Vec<GraphSpan>> = HashMap::new();
        let mut link_highs = HashMap::new();
        let read = &mut self.read;
        self.rolling
            .spans(self.tenant, window, which, |row| {
                let minute = row.start_ns.div_euclid(MINUTE_NS);
                *read.entry(minute).or_insert(0) += 1;
                if let Some(span) = narrow(&mut names, row, &mut link_highs) {
                    spans.entry(minute).or_default().push(span);
                }
            })
            .await?;
        let mut references = References::default();
        for minute in minutes {
            let spans = spans.get(minute).map_or(&[][..], Vec::as_slice);
            references.add(*minute, spans, &Minute::missing(spans), &link_highs);
        }
        let (rolling, tenant) = (self.rolling, self.tenant);
        let others = look_up(rolling, tenant, minutes, references, &self.known_missing, &mut names).await?;
        // The latest first: answers mostly lead back in time.
        for minute in minutes.iter().rev() {
            let answered = naming(&self.answers, *minute);
            let spans = spans.remove(minute).unwrap_or_default();
            let others = others.get(minute).map_or(&[][..], Vec::as_slice);
            if let Some(graph) = self.graphs.get_mut(minute) {
                graph.add(&names, &spans, others, &answered);
            }
            if !matches!(which, Which::Part { .. }) {
                self.finish(*minute);
            }
        }
        if let (Which::Part { .. }, [minute]) = (which, minutes) {
            self.digests.insert(*minute, digest(naming(&self.answers, *minute)));
        }
        Ok(())
    }

    // Closes a minute; its answers replace those of its last generation for the minutes still open.
    fn finish(&mut self, minute: i64) {
        let Some(graph) = self.graphs.remove(&minute) else { return };
        let graph = graph.finish();
        self.digests.insert(minute, digest(naming(&self.answers, minute)));
        self.answers.values_mut().for_each(|sources| drop(sources.remove(&minute)));
        for answer in &graph.answers {
            let target = answer.minute_ns / MINUTE_NS;
            self.answers.entry(target).or_default().entry(minute).or_default().push(answer.at);
        }
        self.done.insert(minute, graph);
    }
}

/// References of minutes to spans that are not among those at hand.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// By minute.
    pub(crate) of: HashMap<i64, HashSet<SpanRef>>,
    /// High halves of trace ids that a minute's referring spans know, by minute and low half.
    highs: HashMap<(i64, u64), HashSet<u64>>,
}

impl References {
    /// Adds those of a minute's spans that are `missing` ([`Minute::missing`]) among them; `spans` are all of
    /// some traces.
    pub(crate) fn add(
        &mut self,
        minute: i64,
        spans: &[GraphSpan],
        missing: &[SpanRef],
        link_highs: &HashMap<u64, u64>,
    ) {
        let lows: HashSet<u64> = missing.iter().map(|at| at.trace_low).collect();
        for span in spans.iter().filter(|span| lows.contains(&span.at.trace_low)) {
            self.highs.entry((minute, span.at.trace_low)).or_default().insert(span.trace_high);
        }
        for low in lows {
            let highs = self.highs.entry((minute, low)).or_default();
            highs.insert(0);
            highs.extend(link_highs.get(&low));
        }
        self.of.entry(minute).or_default().extend(missing);
    }

    // Ids of the traces that ascending references may mean.
    fn traces(&self, some: &[SpanRef]) -> Vec<String> {
        let is_meant = |low: &u64| some.binary_search_by_key(low, |at| at.trace_low).is_ok();
        let known = self.highs.iter().filter(|((_, low), _)| is_meant(low));
        let ids: HashSet<(u64, u64)> =
            known.flat_map(|((_, low), highs)| highs.iter().map(|high| (*high, *low))).collect();
        ids.into_iter().map(|(high, low)| format!("{high:016x}{low:016x}")).collect()
    }

    fn may_mean(&self, minute: i64, span: &GraphSpan) -> bool {
        self.highs.get(&(minute, span.at.trace_low)).is_some_and(|highs| highs.contains(&span.trace_high))
    }
}

/// The stored spans that the references of each of some ascending minutes mean. `known_missing`: those that
/// were looked for in vain before, and are not near.
pub(crate) async fn look_up(
    rolling: &Rolling,
    tenant: &str,
    minutes: &[i64],
    references: References,
    known_missing: &HashMap<i64, HashSet<SpanRef>>,
    names: &mut Names,
) -> Result<HashMap<i64, Vec<GraphSpan>>, LookupError> {
    let mut found: HashMap<i64, Vec<GraphSpan>> = HashMap::new();
    let mut open = references.of.clone();
    for (before, after) in [NEAR, FAR] {
        let Some((first, last)) = bounds(minutes, &open) else { return Ok(found) };
        let window = ((first - before).max(0) * MINUTE_NS, (last + after + 1) * MINUTE_NS);
        let mut rows = Vec::new();
        for some in all_of(&open).chunks(IDS_AT_ONCE) {
            let (traces, ids) = (references.traces(some), ids(some));
            let each = |row: &store::rollup::SpanRow<'_>| rows.extend(narrow(names, row, &mut HashMap::new()));
            rolling.spans(tenant, window, Which::TraceIds(&traces, &ids), each).await?;
        }
        let is_near = |minute: i64, span: &GraphSpan| {
            let at = span.start_ns.div_euclid(MINUTE_NS);
            minute - before <= at && at <= minute + after && references.may_mean(minute, span)
        };
        assign(&rows, &mut open, &mut found, is_near);
        if (before, after) == NEAR {
            for (minute, wanted) in &mut open {
                if let Some(missing) = known_missing.get(minute) {
                    wanted.retain(|at| !missing.contains(at));
                }
            }
        }
    }
    // What is left lies far away or nowhere: the trace index knows.
    let left = all_of(&open);
    let mut lows: Vec<u64> = left.iter().map(|at| at.trace_low).collect();
    lows.dedup();
    let left = lows.get(TRACES_MAX).map_or(&left[..], |low| &left[..left.partition_point(|at| at.trace_low < *low)]);
    let traces = references.traces(left);
    if traces.is_empty() {
        return Ok(found);
    }
    let mut rows = Vec::new();
    let mut ranges = rolling.ranges(tenant, &traces).await?;
    ranges.sort_unstable_by_key(|(_, first, _)| *first);
    for some in ranges.chunks(TRACES_AT_ONCE) {
        let first_ns = some.iter().map(|(_, first, _)| *first).min().unwrap_or(0);
        let end_ns = some.iter().map(|(_, _, end)| *end).max().unwrap_or(0);
        let traces: Vec<String> = some.iter().map(|(trace, ..)| trace.clone()).collect();
        for some in left.chunks(IDS_AT_ONCE) {
            let each = |row: &store::rollup::SpanRow<'_>| rows.extend(narrow(names, row, &mut HashMap::new()));
            rolling.spans(tenant, (first_ns, end_ns), Which::TraceIds(&traces, &ids(some)), each).await?;
        }
    }
    assign(&rows, &mut open, &mut found, |minute, span| references.may_mean(minute, span));
    Ok(found)
}

// All open references, each once, by trace.
fn all_of(open: &HashMap<i64, HashSet<SpanRef>>) -> Vec<SpanRef> {
    let mut all: Vec<SpanRef> = open.values().flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

// Gives rows to the minutes that refer to them; what was found is open no longer.
fn assign(
    rows: &[GraphSpan],
    open: &mut HashMap<i64, HashSet<SpanRef>>,
    found: &mut HashMap<i64, Vec<GraphSpan>>,
    is_meant: impl Fn(i64, &GraphSpan) -> bool,
) {
    for (minute, wanted) in open {
        let mine = |row: &&GraphSpan| wanted.contains(&row.at) && is_meant(*minute, row);
        let mine: Vec<GraphSpan> = rows.iter().filter(mine).cloned().collect();
        for row in &mine {
            wanted.remove(&row.at);
        }
        found.entry(*minute).or_default().extend(mine);
    }
}

fn bounds(minutes: &[i64], open: &HashMap<i64, HashSet<SpanRef>>) -> Option<(i64, i64)> {
    let is_open = |minute: &&i64| open.get(*minute).is_some_and(|wanted| !wanted.is_empty());
    Some((*minutes.iter().find(is_open)?, *minutes.iter().rev().find(is_open)?))
}

fn ids(some: &[SpanRef]) -> Vec<String> {
    let ids: HashSet<u64> = some.iter().map(|at| at.span_id).collect();
    ids.into_iter().map(|id| format!("{id:016x}")).collect()
}

async fn known_missing(
    rolling: &Rolling,
    tenant: &str,
    wishes: &[Wish],
) -> Result<HashMap<i64, HashSet<SpanRef>>, LookupError> {
    let minutes: Vec<i64> = wishes.iter().filter(|wish| !wish.relook).map(|wish| wish.minute).collect();
    let mut known: HashMap<i64, HashSet<SpanRef>> = HashMap::new();
    if !minutes.is_empty() {
        let found = Reason::StoredElsewhere.code();
        for (minute, trace_low, span_id) in rolling.missing(tenant, &minutes, RULE as u16, found).await? {
            known.entry(minute).or_default().insert(SpanRef { trace_low, span_id });
        }
    }
    Ok(known)
}

fn row(tenant: &str, minute: i64, spans: u64, answered: u64, graph: MinuteGraph) -> MinuteRow {
    let mut row = MinuteRow {
        tenant: tenant.to_owned(),
        minute_s: seconds(minute),
        rule: RULE as u16,
        spans,
        answered,
        ..MinuteRow::default()
    };
    for node in graph.nodes {
        let (buckets, counts) = node.latency.buckets();
        row.node_kinds.push(node.node.kind.text());
        row.node_names.push(node.node.name);
        row.node_requests.push(node.requests);
        row.node_errors.push(node.errors);
        row.node_buckets.push(buckets);
        row.node_counts.push(counts);
        row.node_reasons.push(node.unpaired.iter().map(|(reason, _)| reason.code()).collect());
        row.node_unpaired.push(node.unpaired.iter().map(|(_, count)| *count).collect());
    }
    for edge in graph.edges {
        let (buckets, counts) = edge.latency.buckets();
        row.edge_source_kinds.push(edge.source.kind.text());
        row.edge_sources.push(edge.source.name);
        row.edge_target_kinds.push(edge.target.kind.text());
        row.edge_targets.push(edge.target.name);
        row.edge_types.push(edge.connection_type.text());
        row.edge_calls.push(edge.calls);
        row.edge_spans.push(edge.spans);
        row.edge_errors.push(edge.errors);
        row.edge_buckets.push(buckets);
        row.edge_counts.push(counts);
    }
    for wanted in graph.wanted {
        row.wanted_traces.push(wanted.at.trace_low);
        row.wanted_ids.push(wanted.at.span_id);
        row.wanted_reasons.push(wanted.reason.code());
    }
    for answer in graph.answers {
        row.answer_traces.push(answer.at.trace_low);
        row.answer_ids.push(answer.at.span_id);
        row.answer_minutes_s.push(seconds(answer.minute_ns / MINUTE_NS));
    }
    row
}

fn seconds(minute: i64) -> u32 {
    u32::try_from(minute * 60).unwrap_or(0)
}
