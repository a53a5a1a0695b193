//! A trace search in Zipkin's terms, and whether a trace matches it: the trace by its time, and every
//! condition by some span of the service, not necessarily the same one.

use store::questions::{Window, ZipkinMatch};

use super::{Span, window};

/// What was asked, as it came; absent is `None`.
#[derive(Clone, Debug, Default)]
pub struct QueryParams {
    /// Service that recorded the spans.
    pub service: Option<String>,
    /// Service on the other side.
    pub remote_service: Option<String>,
    /// Span name; `all` is any.
    pub span_name: Option<String>,
    /// Tags and annotations, joined by ` and `.
    pub annotation_query: Option<String>,
    /// Shortest duration in microseconds.
    pub min_duration_us: Option<i64>,
    /// Longest.
    pub max_duration_us: Option<i64>,
    /// End of the window of trace times, milliseconds since the epoch; inclusive.
    pub end_ts_ms: i64,
    /// Its length.
    pub lookback_ms: i64,
    /// Most traces.
    pub limit: i64,
}

/// A search that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub(super) matching: ZipkinMatch,
    pub(super) limit: usize,
    end_ts_ms: i64,
    lookback_ms: i64,
}

/// Most terms of an annotation query.
const TERMS_MAX: usize = 100;

impl Query {
    /// Checks what was asked.
    ///
    /// # Errors
    /// Zipkin's texts.
    pub fn new(params: QueryParams) -> Result<Query, String> {
        let name = |text: Option<String>| text.map(|text| text.to_lowercase()).filter(|text| !text.is_empty());
        let refused = match (params.min_duration_us, params.max_duration_us) {
            _ if params.end_ts_ms <= 0 => "endTs <= 0",
            _ if params.limit <= 0 => "limit <= 0",
            _ if params.lookback_ms <= 0 => "lookback <= 0",
            (Some(min), _) if min <= 0 => "minDuration <= 0",
            (Some(min), Some(max)) if max < min => "maxDuration < minDuration",
            (None, Some(_)) => "maxDuration is only valid with minDuration",
            _ => "",
        };
        if !refused.is_empty() {
            return Err(refused.to_owned());
        }
        Ok(Query {
            matching: ZipkinMatch {
                service: name(params.service),
                remote_service: name(params.remote_service),
                span_name: name(params.span_name).filter(|text| text != "all"),
                terms: terms(params.annotation_query.as_deref().unwrap_or_default()),
                min_duration_us: params.min_duration_us.map(i64::unsigned_abs),
                max_duration_us: params.max_duration_us.map(i64::unsigned_abs),
            },
            limit: usize::try_from(params.limit).unwrap_or(usize::MAX),
            end_ts_ms: params.end_ts_ms,
            lookback_ms: params.lookback_ms,
        })
    }

    /// Where trace times lie.
    pub(super) fn window(&self) -> Window {
        window(self.end_ts_ms, self.lookback_ms)
    }

    /// The trace's time in microseconds when the trace matches.
    pub(super) fn accepts(&self, trace: &[Span]) -> Option<u64> {
        let time_us = trace_time(trace)?;
        let (time, end) = (i128::from(time_us), i128::from(self.end_ts_ms) * 1000);
        let begin = end - i128::from(self.lookback_ms) * 1000;
        ((begin..=end).contains(&time) && self.is_met(trace)).then_some(time_us)
    }

    fn is_met(&self, trace: &[Span]) -> bool {
        let wanted = &self.matching;
        let service = wanted.service.as_deref();
        let of_service = || trace.iter().filter(|span| service.is_none_or(|service| service == span.local_service()));
        let some = |condition: &dyn Fn(&Span) -> bool| of_service().any(condition);
        let term = |(key, value): &(String, String)| some(&|span| has_term(span, key, value));
        let lasts = |span: &Span| {
            wanted.min_duration_us.is_none_or(|min| span.duration_us >= min)
                && wanted.max_duration_us.is_none_or(|max| span.duration_us <= max)
        };
        (service.is_none() || some(&|_| true))
            && wanted.remote_service.as_deref().is_none_or(|name| some(&|span| span.remote_service() == name))
            && wanted.span_name.as_deref().is_none_or(|name| some(&|span| span.name == name))
            && wanted.terms.iter().all(term)
            && (wanted.min_duration_us.is_none() || some(&lasts))
    }
}

/// The time of the earliest span without a parent, else of the earliest span, in microseconds.
pub(super) fn trace_time(trace: &[Span]) -> Option<u64> {
    let timed = || trace.iter().filter(|span| span.timestamp_us != 0);
    let earliest = |spans: &mut dyn Iterator<Item = &Span>| spans.map(|span| span.timestamp_us).min();
    earliest(&mut timed().filter(|span| span.parent_id.is_none())).or_else(|| earliest(&mut timed()))
}

fn has_term(span: &Span, key: &str, value: &str) -> bool {
    let tagged = |(known, text): &(String, String)| known == key && (value.is_empty() || text == value);
    span.tags.iter().any(tagged) || (value.is_empty() && span.annotations.iter().any(|it| it.value == key))
}

/// The terms of an annotation query, each key once: the last value wins, a bare word never does.
fn terms(text: &str) -> Vec<(String, String)> {
    let mut terms: Vec<(String, String)> = Vec::new();
    for part in text.splitn(TERMS_MAX, " and ") {
        let (key, value) = match part.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim())),
            None => (part.trim(), None),
        };
        let present = terms.iter_mut().find(|(known, _)| known == key);
        match (present, value) {
            _ if key.is_empty() => {}
            (Some((_, present)), Some(value)) => value.clone_into(present),
            (Some(_), None) => {}
            (None, value) => terms.push((key.to_owned(), value.unwrap_or_default().to_owned())),
        }
    }
    terms
}
