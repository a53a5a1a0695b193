//! What a sender wrote into a field whose column cannot hold it: numbers that an enumeration does not
//! have, ids of a wrong length. It is kept as a JSON object in a column of its own, so that nothing of
//! the original is lost. Knows no message: others say what is odd.

use std::io::Write as _;

use model::id::push_hex;
use model::mark;

/// Bytes kept of a malformed id; an honest one has 16.
const ID_BYTES_MAX: usize = 64;

/// The original fields of one item: `{"kind":99,"parent_span_id":"abcd"}`, ids as hex.
#[derive(Default)]
pub(super) struct Originals {
    text: Vec<u8>,
    links: Vec<u8>,
    marks: u32,
}

impl Originals {
    /// A new item begins.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.text.clear();
        self.links.clear();
        self.marks = 0;
    }

    /// A number that the enumeration `field` does not have.
    pub(super) fn number(&mut self, field: &str, number: i32) {
        self.marks |= mark::UNKNOWN_NUMBER;
        comma(&mut self.text);
        let _ = write!(self.text, "\"{field}\":{number}");
    }

    /// A malformed id.
    pub(super) fn id(&mut self, field: &str, id: &[u8]) {
        comma(&mut self.text);
        push_id(&mut self.text, &mut self.marks, field, id);
    }

    /// The ids of the link with this index, of which at least one is malformed.
    pub(super) fn link(&mut self, index: u32, trace_id: &[u8], span_id: &[u8]) {
        comma(&mut self.links);
        let _ = write!(self.links, "{{\"index\":{index},");
        push_id(&mut self.links, &mut self.marks, "trace_id", trace_id);
        self.links.push(b',');
        push_id(&mut self.links, &mut self.marks, "span_id", span_id);
        self.links.push(b'}');
    }

    /// The object and its marks; empty when nothing was odd.
    pub(super) fn finish(&mut self) -> (&[u8], u32) {
        if !self.links.is_empty() {
            comma(&mut self.text);
            self.text.extend_from_slice(b"\"links\":[");
            self.text.extend_from_slice(&self.links);
            self.text.push(b']');
        }
        if !self.text.is_empty() {
            self.text.insert(0, b'{');
            self.text.push(b'}');
        }
        (&self.text, self.marks)
    }
}

fn comma(text: &mut Vec<u8>) {
    if !text.is_empty() {
        text.push(b',');
    }
}

fn push_id(text: &mut Vec<u8>, marks: &mut u32, field: &str, id: &[u8]) {
    let kept = &id[..id.len().min(ID_BYTES_MAX)];
    if kept.len() < id.len() {
        *marks |= mark::TRUNCATED;
    }
    let _ = write!(text, "\"{field}\":\"");
    push_hex(text, kept);
    text.push(b'"');
}
