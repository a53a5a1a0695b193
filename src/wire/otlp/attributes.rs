//! Attribute lists into a map column, its type column, and the promoted keys. Keys repeat row after
//! row, so each is looked up once per request and recognised by its bytes from then on.

use model::column::MapColumn;
use model::mark;
use model::text::DictColumn;
use model::{Limits, Value};

use super::shared::Bounds;
use super::value::{self, Scalar, Signs};
use crate::proto::{self, Cursor, Fault, What};

/// Says which promoted key this is: a bit number, or [`NO_ROLE`]. Within a group of bits that feed
/// one column the lowest wins.
pub(super) type Roles = fn(&[u8]) -> u8;
/// Not a promoted key.
pub(super) const NO_ROLE: u8 = u8::MAX;
const ROLES_MAX: usize = 16;
const SLOTS: usize = 128;
const UNUSED: u32 = u32::MAX;

/// What a key that was seen before is known by.
#[derive(Clone, Copy)]
struct Slot<'a> {
    key: &'a [u8],
    number: u32,
    role: u8,
}

/// Writes the attributes of one map column, row by row.
pub(super) struct Attributes<'a> {
    slots: Box<[Slot<'a>; SLOTS]>,
    roles: Roles,
    signs: Signs,
    scratch: Vec<u8>,
    pairs: u32,
    seen: u16,
    found: [u32; ROLES_MAX],
    /// Attributes of this row above the limit.
    pub(super) dropped: u32,
    marks: u32,
}

impl<'a> Attributes<'a> {
    /// For a column whose promoted keys `roles` tells.
    pub(super) fn new(roles: Roles) -> Attributes<'a> {
        Attributes {
            slots: Box::new([Slot { key: b"", number: UNUSED, role: NO_ROLE }; SLOTS]),
            roles,
            signs: Signs::default(),
            scratch: Vec::new(),
            pairs: 0,
            seen: 0,
            found: [0; ROLES_MAX],
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
        types.push(self.signs.finish());
    }

    /// The marks of the row that was ended last: whether something was cut or left out.
    #[inline]
    pub(super) fn row_marks(&self) -> u32 {
        if self.dropped == 0 { self.marks } else { self.marks | mark::TRIMMED }
    }

    /// The pair number of the best promoted key among the bits of `group`.
    #[inline]
    pub(super) fn promoted(&self, group: u16) -> Option<usize> {
        let bits = self.seen & group;
        (bits != 0).then(|| self.found[bits.trailing_zeros() as usize] as usize)
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
        let Some((key, any_value)) = value::pair(key_value) else { return self.push_slow(map, key_value, bounds) };
        let limit = bounds.limits.attribute_value_bytes_max;
        match value::scalar(any_value) {
            Scalar::Str(text) if text.len() <= limit as usize => {
                self.push_key(map, key, !text.is_empty(), &bounds.limits)?;
                map.values.push(text);
                self.signs.push(b's');
            }
            Scalar::Int(number) => {
                self.push_key(map, key, true, &bounds.limits)?;
                map.values.push(itoa::Buffer::new().format(number).as_bytes());
                self.signs.push(b'i');
            }
            Scalar::Nested(open, content) => {
                let place = self.signs.place();
                self.scratch.clear();
                if !value::write_nested(open, content, &mut self.scratch, &mut self.signs, value::depth(&bounds.limits)) {
                    self.signs.back_to(place);
                    return self.push_slow(map, key_value, bounds);
                }
                self.push_key(map, key, false, &bounds.limits)?;
                self.push_scratch(map, place, limit);
            }
            Scalar::Unusual => return self.push_slow(map, key_value, bounds),
            scalar => {
                self.push_key(map, key, false, &bounds.limits)?;
                self.push_scalar(map, scalar, limit);
            }
        }
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
        let (key, value) = value::merge_pair(key_value, bounds, depth)?;
        let limit = bounds.limits.attribute_value_bytes_max;
        let promotes = matches!(&value, Value::Int(_)) || matches!(&value, Value::Str(text) if !text.is_empty());
        self.push_key(map, key, promotes, &bounds.limits)?;
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
    fn push_key(&mut self, map: &mut MapColumn, key: &'a [u8], promotes: bool, limits: &Limits) -> Result<(), Fault> {
        let slot = &mut self.slots[slot_of(key)];
        if slot.number == UNUSED || slot.key != key {
            *slot = new_slot(map, key, self.roles, limits)?;
        }
        let slot = *slot;
        map.keys.push_index(slot.number);
        if key.len() > limits.name_bytes_max as usize {
            self.marks |= mark::TRUNCATED;
        }
        if slot.role != NO_ROLE && promotes && self.seen >> slot.role & 1 == 0 {
            self.seen |= 1 << slot.role;
            self.found[usize::from(slot.role)] = map.pairs() as u32;
        }
        Ok(())
    }
}

#[cold]
fn new_slot<'a>(map: &mut MapColumn, key: &'a [u8], roles: Roles, limits: &Limits) -> Result<Slot<'a>, Fault> {
    if !proto::is_utf8(key) {
        return Err(Cursor::new(key).fault(What::Utf8));
    }
    let number = map.keys.intern(proto::cut(key, limits.name_bytes_max));
    Ok(Slot { key, number, role: roles(key) })
}

// Length and both ends tell attribute keys apart well: they share prefixes, not all of these.
#[inline]
fn slot_of(key: &[u8]) -> usize {
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (key.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 57) as usize
}
