//! Where in a request a fault stands, in the words of the .proto files. The walk itself keeps no
//! path; this goes the same way once more, guided by the tables, and only after a fault.

use std::fmt::Write as _;

use super::schema::{Field, Kind, Message};
use crate::proto::{BYTES, Cursor};

/// A field path such as `resource_spans[3].scope_spans[0].spans[7].name`; empty when the fault
/// stands at the top.
pub(super) fn path_to(body: &[u8], address: usize, request: &'static Message) -> String {
    let mut path = String::new();
    let (mut message, mut bytes) = (request, body);
    while let Some((field, index, content)) = field_at(bytes, address, message) {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(field.name);
        if field.repeated {
            let _ = write!(path, "[{index}]");
        }
        match (field.kind, content) {
            (Kind::Message(inner), Some(content)) => (message, bytes) = (inner, content),
            _ => break,
        }
    }
    path
}

// The field of `message` that holds the address, how many of its kind stand before it, and its
// content when it has any.
fn field_at<'a>(
    bytes: &'a [u8],
    address: usize,
    message: &'static Message,
) -> Option<(&'static Field, usize, Option<&'a [u8]>)> {
    let mut counts = [0usize; 32];
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let Ok(key) = cursor.key() else { return None };
        let field = message.by_number(key >> 3);
        let start = cursor;
        let content = if key & 7 == BYTES { cursor.bytes().ok() } else { None };
        let whole = content.is_some() || cursor.skip(key).is_ok();
        let end = cursor.rest().as_ptr() as usize;
        if !whole || address < end {
            let inside = content.filter(|content| address >= content.as_ptr() as usize);
            debug_assert!(start.rest().as_ptr() as usize <= end);
            return field.map(|field| (field, counts[field.number as usize % 32], inside));
        }
        if let Some(field) = field {
            counts[field.number as usize % 32] += 1;
        }
    }
    None
}
