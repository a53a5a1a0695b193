//! Attribute lists into a map column, its type column, and the promoted keys. Keys repeat row after
//! row, so each is looked up once per request and recognised by its bytes from then on.

use model::column::MapColumn;
use model::mark;
use model::text::DictColumn;
use model::{Limits, Value};

use super::memo::Memo;
use super::shared::Bounds;
use super::value::{self, Scalar, Signs};
use crate::proto::{self, Cursor, Fault, What};

/// Says which promoted key this is: a bit number, or [`NO_ROLE`]. Within a group of bits that feed
/// one column the lowest wins.
pub(super) type Roles = fn(&[u8]) -> u8;
/// Not a promoted key.
pub(super) const NO_ROLE: u8 = u8::MAX;
const ROLES_MAX: usize = 16;
/// Keys and type texts that are remembered.
const KEYS: usize = 128;
const TYPES: usize = 32;

/// The value of a promoted key: strings and integers count, an empty string does not.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    Text(&'a [u8]),
    Int(i64),
}

impl<'a> Found<'a> {
    /// Appends the value, or nothing, as a row of a dictionary column.
    #[inline]
    pub(super) fn push<const N: usize>(found: Option<Found<'a>>, column: &mut DictColumn, memo: &mut Memo<'a, N>) {
        match found {
            None => memo.push_empty(column),
            Some(Found::Text(text)) => memo.push(column, text),
            Some(Found::Int(_)) => Found::push_alone(found, column),
        }
    }

    /// As [`Found::push`], for columns with few rows.
    pub(super) fn push_alone(found: Option<Found<'a>>, column: &mut DictColumn) {
        match found {
            None => column.push(b""),
            Some(Found::Text(text)) => column.push(text),
            Some(Found::Int(number)) => column.push(itoa::Buffer::new().format(number).as_bytes()),
        }
    }
}

/// Writes the attributes of one map column, row by row.
pub(super) struct Attributes<'a> {
    keys: Memo<'a, KEYS>,
    types: Memo<'a, TYPES>,
    roles: Roles,
    // By key number.
    known_roles: Vec<u8>,
    signs: Signs,
    scratch: Vec<u8>,
    pairs: u32,
    seen: u16,
    found: [Found<'a>; ROLES_MAX],
    /// Attributes of this row above the limit.
    pub(super) dropped: u32,
    marks: u32,
}

impl<'a> Attributes<'a> {
    /// For a column whose promoted keys `roles` tells.
    pub(super) fn new(roles: Roles) -> Attributes<'a> {
        Attributes {
            keys: Memo::new(),
            types: Memo::new(),
            roles,
            known_roles: Vec::new(),
            signs: Signs::default(),
            scratch: Vec::new(),
            pairs: 0,
            seen: 0,
            found: [Found::Text(b""); ROLES_MAX],
            dropped: 0,
            marks: 0,
        }
    }

    /// Begins a row.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.signs.clear();
        self.pairs = 0;
        self.seen = 0;
        self.dropped = 0;
        self.marks = 0;
    }

    /// Ends the row in both columns. What was dropped and cut is in the fields.
    #[inline]
    pub(super) fn end(&mut self, map: &mut MapColumn, types: &mut DictColumn) {
        map.end_row();
        self.types.push_passing(types, self.signs.finish());
    }

    /// The marks of the row that was ended last: whether something was cut or left out.
    #[inline]
    pub(super) fn row_marks(&self) -> u32 {
        if self.dropped == 0 { self.marks } else { self.marks | mark::TRIMMED }
    }

    /// The best promoted value among the bits of `group`.
    #[inline]
    pub(super) fn promoted(&self, group: u16) -> Option<Found<'a>> {
        let bits = self.seen & group;
        (bits != 0).then(|| self.found[bits.trailing_zeros() as usize % ROLES_MAX])
    }

    /// Appends one `KeyValue` message to the row.
    ///
    /// # Errors
    /// When the bytes are not a `KeyValue`, hold invalid text, or nest too deep.
    #[inline]
    pub(super) fn push(&mut self, map: &mut MapColumn, key_value: &'a [u8], bounds: &mut Bounds) -> Result<(), Fault> {
        if self.pairs >= bounds.limits.attributes_max {
            return self.drop_one(key_value, bounds);
        }
        let limit = bounds.limits.attribute_value_bytes_max;
        if let Some((key, any_value)) = value::short_pair(key_value) {
            if let Some((encoded, text)) = value::short_string(any_value)
                && text.len() <= limit as usize
                && proto::is_ascii(text)
            {
                self.push_key(map, key, Found::Text(text), &bounds.limits)?;
                // Length and text stand in the message as they will stand in the column.
                map.values.push_encoded(encoded);
                self.signs.push(b's');
                self.pairs += 1;
                return Ok(());
            }
            if let Some(number) = value::plain_int(any_value) {
                return self.push_int(map, key, number, bounds);
            }
        }
        self.push_other(map, key_value, bounds)
    }

    fn push_other(&mut self, map: &mut MapColumn, key_value: &'a [u8], bounds: &mut Bounds) -> Result<(), Fault> {
        let limit = bounds.limits.attribute_value_bytes_max;
        let Some((key, any_value)) = value::pair(key_value) else { return self.push_slow(map, key_value, bounds) };
        match value::scalar(any_value) {
            Scalar::Str(text) if text.len() <= limit as usize => {
                self.push_key(map, key, Found::Text(text), &bounds.limits)?;
                map.values.push(text);
                self.signs.push(b's');
            }
            Scalar::Int(number) => return self.push_int(map, key, number, bounds),
            Scalar::Nested(open, content) => {
                bounds.take_json(content)?;
                let place = self.signs.place();
                self.scratch.clear();
                if !value::write_nested(open, content, &mut self.scratch, &mut self.signs, value::depth(&bounds.limits))
                {
                    self.signs.back_to(place);
                    return self.push_slow(map, key_value, bounds);
                }
                self.push_key(map, key, Found::Text(b""), &bounds.limits)?;
                self.push_scratch(map, place, limit);
            }
            Scalar::Unusual => return self.push_slow(map, key_value, bounds),
            scalar => {
                let found = if let Scalar::Str(text) = scalar { proto::cut(text, limit) } else { b"" };
                self.push_key(map, key, Found::Text(found), &bounds.limits)?;
                self.push_scalar(map, scalar, limit);
            }
        }
        self.pairs += 1;
        Ok(())
    }

    fn push_int(&mut self, map: &mut MapColumn, key: &'a [u8], number: i64, bounds: &Bounds) -> Result<(), Fault> {
        self.push_key(map, key, Found::Int(number), &bounds.limits)?;
        map.values.push(itoa::Buffer::new().format(number).as_bytes());
        self.signs.push(b'i');
        self.pairs += 1;
        Ok(())
    }

    // Scalars that are not short strings or integers.
    fn push_scalar(&mut self, map: &mut MapColumn, scalar: Scalar<'_>, limit: u32) {
        let cut = |whole: usize, kept: usize| if kept < whole { mark::TRUNCATED } else { 0 };
        let kept = match scalar {
            Scalar::Str(text) => {
                let kept = proto::cut(text, limit);
                self.marks |= cut(text.len(), kept.len());
                Scalar::Str(kept)
            }
            Scalar::Bytes(bytes) => {
                // Base64 makes four bytes of three; a cut value must still be base64.
                let kept = &bytes[..bytes.len().min(limit as usize / 4 * 3)];
                self.marks |= cut(bytes.len(), kept.len());
                Scalar::Bytes(kept)
            }
            other => other,
        };
        self.scratch.clear();
        value::write_scalar(&kept, &mut self.scratch, &mut self.signs);
        map.values.push(&self.scratch);
    }

    // The scratch as a value. JSON that had to be cut is no JSON any more: it becomes a string.
    fn push_scratch(&mut self, map: &mut MapColumn, place: value::Place, limit: u32) {
        let kept = proto::cut(&self.scratch, limit);
        if kept.len() < self.scratch.len() {
            self.marks |= mark::TRUNCATED;
            self.signs.back_to(place);
            self.signs.push(b's');
        }
        map.values.push(kept);
    }

    #[cold]
    fn push_slow(&mut self, map: &mut MapColumn, key_value: &'a [u8], bounds: &mut Bounds) -> Result<(), Fault> {
        let depth = value::depth(&bounds.limits);
        bounds.take_json(key_value)?;
        let (key, value) = value::merge_pair(key_value, bounds, depth)?;
        let limit = bounds.limits.attribute_value_bytes_max;
        // What is promoted is what is stored; the text is borrowed from the message all the same.
        let found = match &value {
            Value::Int(number) => Found::Int(*number),
            Value::Str(_) => Found::Text(proto::cut(value::last_text(key_value)?, limit)),
            _ => Found::Text(b""),
        };
        self.push_key(map, key, found, &bounds.limits)?;
        match &value {
            Value::Str(text) => self.push_scalar(map, Scalar::Str(text.as_bytes()), limit),
            Value::Bytes(bytes) => self.push_scalar(map, Scalar::Bytes(bytes), limit),
            value => {
                let place = self.signs.place();
                self.scratch.clear();
                value::write_value(value, &mut self.scratch, &mut self.signs);
                self.push_scratch(map, place, limit);
            }
        }
        self.pairs += 1;
        Ok(())
    }

    // Above the limit: read, so that broken bytes are found all the same, and left out.
    #[cold]
    fn drop_one(&mut self, key_value: &[u8], bounds: &mut Bounds) -> Result<(), Fault> {
        let depth = value::depth(&bounds.limits);
        value::merge_pair(key_value, bounds, depth)?;
        self.dropped = self.dropped.saturating_add(1);
        Ok(())
    }

    #[inline]
    fn push_key(&mut self, map: &mut MapColumn, key: &'a [u8], found: Found<'a>, limits: &Limits) -> Result<(), Fault> {
        let (known_roles, roles) = (&mut self.known_roles, self.roles);
        let number = self.keys.number(key, || new_key(map, key, known_roles, roles, limits))?;
        map.keys.push_index(number);
        if key.len() > limits.name_bytes_max as usize {
            self.marks |= mark::TRUNCATED;
        }
        let role = self.known_roles[number as usize];
        if role != NO_ROLE {
            self.promote(role, found);
        }
        Ok(())
    }

    // Of a key that is repeated the first value that counts wins, as reading the map gives the first.
    fn promote(&mut self, role: u8, found: Found<'a>) {
        if self.seen >> role & 1 == 0 && !matches!(found, Found::Text(b"")) {
            self.seen |= 1 << role;
            self.found[usize::from(role)] = found;
        }
    }
}

// A key that is not remembered: check it, and note its role beside its number.
#[cold]
fn new_key(map: &mut MapColumn, key: &[u8], known: &mut Vec<u8>, roles: Roles, limits: &Limits) -> Result<u32, Fault> {
    if !proto::is_utf8(key) {
        return Err(Cursor::new(key).fault(What::Utf8));
    }
    let kept = proto::cut(key, limits.name_bytes_max);
    let number = map.keys.intern(kept);
    if number as usize >= known.len() {
        known.resize(number as usize + 1, NO_ROLE);
        known[number as usize] = roles(kept);
    }
    Ok(number)
}
