//! What happens to a log without a trace id. A log that has one in its own field keeps it
//! (`join` = own). Another takes the id that it carries in an attribute, else in its body (`join` =
//! found, and `join_source` says where it stood). One that carries none is stored all the same,
//! unlinked: it is found by time, service and text, and stands in no trace.

use model::logs::{JOIN_FOUND, JOIN_NONE};
use model::{Batch, Logs, SpanId, TraceId};

use crate::keys::{Key, classify};
use crate::scan::find_in_text;
use crate::values;

/// Fills trace id, span id, join and join source of every log that has no trace id of its own.
pub fn join_logs(batch: &mut Batch) {
    let logs = &mut batch.logs;
    let keys: Vec<Key> = logs.attributes.keys.dict().iter().map(classify).collect();
    let promising = keys.iter().any(|key| key.is_trace());
    for row in 0..logs.len() {
        if logs.join[row] != JOIN_NONE || logs.trace_id[row] != [0; 16] {
            continue;
        }
        let context = in_attributes(logs, row, &keys, promising).or_else(|| in_body(logs, row));
        if let Some((trace, span, source)) = context {
            logs.trace_id[row] = trace.0;
            if !span.is_none() {
                logs.span_id[row] = span.0;
            }
            logs.join[row] = JOIN_FOUND;
            logs.join_source.set(row, source.as_bytes());
        }
    }
}

fn in_attributes(logs: &Logs, row: usize, keys: &[Key], promising: bool) -> Option<(TraceId, SpanId, String)> {
    let pairs = logs.attributes.pairs_of(row);
    let key_of = |pair: usize| keys[logs.attributes.keys.index()[pair] as usize];
    let traces = pairs.clone().filter(|pair| promising && key_of(*pair).is_trace());
    let found = traces.filter_map(|pair| {
        let value = logs.attributes.values.get(pair);
        let ids = values::ids(key_of(pair), trim(value))?;
        Some((pair, ids))
    });
    // Of several the first 128-bit id wins, else the first.
    let best =
        found.reduce(|best, next| if best.1.trace.is_64_bit() && !next.1.trace.is_64_bit() { next } else { best });
    if let Some((pair, ids)) = best {
        let source = format!("attribute:{}", String::from_utf8_lossy(logs.attributes.keys.get(pair)));
        let span = if ids.span.is_none() { span_in_attributes(logs, row, keys, key_of(pair)) } else { ids.span };
        return Some((ids.trace, span, source));
    }
    // Maps, such as all headers of a request.
    pairs.into_iter().find_map(|pair| {
        let value = logs.attributes.values.get(pair);
        let found = (value.first() == Some(&b'{')).then(|| find_in_text(value)).flatten()?;
        let key = String::from_utf8_lossy(logs.attributes.keys.get(pair));
        Some((found.trace, found.span, format!("attribute:{key}.{}", found.source)))
    })
}

fn span_in_attributes(logs: &Logs, row: usize, keys: &[Key], trace: Key) -> SpanId {
    let wanted = |key: Key| match key {
        Key::DdSpan => trace == Key::DdTrace,
        Key::Span => trace != Key::DdTrace,
        _ => false,
    };
    let mut pairs = logs.attributes.pairs_of(row);
    let found = pairs.find_map(|pair| {
        let key = keys[logs.attributes.keys.index()[pair] as usize];
        wanted(key).then(|| values::span(key, trim(logs.attributes.values.get(pair)))).flatten()
    });
    found.unwrap_or(SpanId::NONE)
}

fn in_body(logs: &Logs, row: usize) -> Option<(TraceId, SpanId, String)> {
    let found = find_in_text(logs.body.get(row))?;
    Some((found.trace, found.span, format!("body:{}", found.source)))
}

// Headers arrive as lists of one text.
fn trim(value: &[u8]) -> &[u8] {
    let start = value.iter().take(4).take_while(|byte| matches!(byte, b'[' | b'"' | b' ')).count();
    &value[start..]
}
