//! OTLP JSON to OTLP protobuf, driven by the tables of [`super::schema`], so that one walker reads
//! both. Rules: OTLP "JSON Protobuf Encoding" (hex ids, numbers for enums) on top of proto3's JSON
//! mapping, read generously: both spellings of names, numbers as strings and the reverse, enum names.
//!
//! Lengths are not known until a message ends; five bytes are kept free for each and filled with a
//! padded varint.

use std::fmt::Write as _;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::Signal;

use super::json_text::{Json, Wrong, integer, is_number};
use super::schema::{self, Field, Kind, Message};
use crate::DecodeError;
use crate::proto::{self, BYTES, FIXED32, FIXED64, VARINT};

/// Bytes that are kept for a length.
const LENGTH_BYTES: usize = 5;
/// Messages around the attributes: the request, resource, scope, item, event and pair.
const FRAME_DEPTH: usize = 16;
/// Messages for one level of an attribute value: value, list, pair.
const LEVEL_DEPTH: usize = 3;

/// Never shown: it becomes [`DecodeError::Memory`].
const NO_MEMORY: Wrong = "not enough memory";

const TOLERANT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, TOLERANT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, TOLERANT);

/// The protobuf form of a request in JSON.
///
/// # Errors
/// When it is not JSON, or a known field has a value of another type; the message names the place. When
/// it takes more than `memory_bytes_max`.
pub(super) fn to_protobuf(
    body: &[u8],
    signal: Signal,
    depth_max: u32,
    memory_bytes_max: usize,
) -> Result<Vec<u8>, DecodeError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| DecodeError::new(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
    let mut work = Transcoder {
        json: Json::new(text),
        out: Vec::with_capacity(body.len() / 2 + 64),
        path: Vec::new(),
        room: FRAME_DEPTH + LEVEL_DEPTH * depth_max as usize,
        memory_bytes_max,
    };
    let done = work.message(schema::request(signal)).and_then(|()| match work.json.peek() {
        None => Ok(()),
        Some(_) => Err("something stands after the end of the document"),
    });
    match done {
        Ok(()) => Ok(work.out),
        Err(NO_MEMORY) => Err(DecodeError::Memory),
        Err(wrong) => Err(work.error(wrong)),
    }
}

struct Transcoder<'a> {
    json: Json<'a>,
    out: Vec<u8>,
    // The fields entered, with the index of the element in lists.
    path: Vec<(&'static Field, Option<usize>)>,
    // Messages that may still be entered.
    room: usize,
    memory_bytes_max: usize,
}

impl Transcoder<'_> {
    fn error(&self, wrong: Wrong) -> DecodeError {
        let mut text = String::new();
        for (field, index) in &self.path {
            let dot = if text.is_empty() { "" } else { "." };
            let _ = write!(text, "{dot}{}", field.json);
            if let Some(index) = index {
                let _ = write!(text, "[{index}]");
            }
        }
        let colon = if text.is_empty() { "" } else { ": " };
        DecodeError::new(format!("{text}{colon}{wrong} (at byte {})", self.json.at()))
    }

    fn message(&mut self, message: &'static Message) -> Result<(), Wrong> {
        self.room = self.room.checked_sub(1).ok_or("values are nested too deeply")?;
        if !self.json.take(b'{') {
            return Err("an object was expected");
        }
        let mut first = true;
        while self.json.next(&mut first, b'}')? {
            let name = self.json.name()?;
            match message.by_name(&name) {
                None => self.json.skip()?,
                Some(_) if self.json.take_word("null") => {}
                Some(field) => self.field(field)?,
            }
        }
        self.room += 1;
        Ok(())
    }

    // The path is left standing after an error: it is the place.
    fn field(&mut self, field: &'static Field) -> Result<(), Wrong> {
        if field.repeated {
            self.list(field)
        } else {
            self.path.push((field, None));
            self.tag(field);
            self.value(field.kind)?;
            self.path.pop();
            Ok(())
        }
    }

    fn list(&mut self, field: &'static Field) -> Result<(), Wrong> {
        self.path.push((field, None));
        if !self.json.take(b'[') {
            return Err("an array was expected");
        }
        let depth = self.path.len() - 1;
        let (mut first, mut index) = (true, 0);
        while self.json.next(&mut first, b']')? {
            self.path[depth].1 = Some(index);
            index += 1;
            self.tag(field);
            match field.kind {
                // An element that is nothing is an empty message.
                Kind::Message(_) if self.json.take_word("null") => self.out.push(0),
                kind => self.value(kind)?,
            }
        }
        self.path.pop();
        Ok(())
    }

    fn tag(&mut self, field: &Field) {
        let wire = match field.kind {
            Kind::Text | Kind::Bytes | Kind::Id(_) | Kind::Message(_) => BYTES,
            Kind::Fixed32 => FIXED32,
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => FIXED64,
            Kind::Bool | Kind::Uint32 | Kind::Int64 | Kind::Uint64 | Kind::Sint32 | Kind::Enum(..) => VARINT,
        };
        proto::push_varint(&mut self.out, u64::from(proto::key(field.number, wire)));
    }

    fn value(&mut self, kind: Kind) -> Result<(), Wrong> {
        match kind {
            Kind::Message(message) => {
                let length_at = self.out.len();
                self.out.extend_from_slice(&[0; LENGTH_BYTES]);
                self.message(message)?;
                self.fill_length(length_at);
                if self.out.len() > self.memory_bytes_max {
                    return Err(NO_MEMORY);
                }
            }
            Kind::Text => {
                let text = self.json.string()?;
                self.bytes(text.as_bytes());
            }
            Kind::Bytes => {
                let text = self.json.string()?;
                let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
                let bytes = engine.decode(text.as_bytes()).map_err(|_| "base64 was expected")?;
                self.bytes(&bytes);
            }
            Kind::Id(width) => {
                let text = self.json.string()?;
                self.bytes(&id(&text, width));
            }
            Kind::Bool => {
                let value = self.json.take_word("true");
                if !value && !self.json.take_word("false") {
                    return Err("true or false was expected");
                }
                self.out.push(u8::from(value));
            }
            Kind::Uint32 => {
                let value: u32 = self.integer("an unsigned 32-bit integer was expected")?;
                proto::push_varint(&mut self.out, u64::from(value));
            }
            Kind::Int64 => {
                let value: i64 = self.integer("a 64-bit integer was expected")?;
                proto::push_varint(&mut self.out, value as u64);
            }
            Kind::Uint64 => {
                let value: u64 = self.integer("an unsigned 64-bit integer was expected")?;
                proto::push_varint(&mut self.out, value);
            }
            Kind::Sint32 => {
                let value: i32 = self.integer("a 32-bit integer was expected")?;
                proto::push_varint(&mut self.out, u64::from((value << 1 ^ value >> 31) as u32));
            }
            Kind::Fixed32 => {
                let value: u32 = self.integer("an unsigned 32-bit integer was expected")?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Fixed64 => {
                let value: u64 = self.integer("an unsigned 64-bit integer was expected")?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Sfixed64 => {
                let value: i64 = self.integer("a 64-bit integer was expected")?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Double => {
                let value = self.double()?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Enum(prefix, names) => {
                let value = self.enumeration(prefix, names)?;
                proto::push_varint(&mut self.out, i64::from(value) as u64);
            }
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        proto::push_varint(&mut self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn fill_length(&mut self, length_at: usize) {
        let start = length_at + LENGTH_BYTES;
        let length = self.out.len() - start;
        for (place, byte) in self.out[length_at..start].iter_mut().enumerate() {
            let more = if place + 1 < LENGTH_BYTES { 0x80 } else { 0 };
            *byte = (length >> (7 * place)) as u8 & 0x7f | more;
        }
    }

    fn integer<T: TryFrom<i128>>(&mut self, expected: Wrong) -> Result<T, Wrong> {
        let value = if self.json.peek() == Some(b'"') {
            let text = self.json.string()?;
            let plain = text.trim_start_matches('0');
            // Strings may carry leading zeros; numbers may not.
            let token = if plain.starts_with(|first: char| first.is_ascii_digit()) { plain } else { &text };
            if is_number(token) { integer(token) } else { None }
        } else {
            integer(self.json.number().map_err(|_| expected)?)
        };
        value.and_then(|value| T::try_from(value).ok()).ok_or(expected)
    }

    fn double(&mut self) -> Result<f64, Wrong> {
        const EXPECTED: Wrong = "a double was expected";
        let parse = |token: &str| token.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(EXPECTED);
        if self.json.peek() != Some(b'"') {
            return parse(self.json.number().map_err(|_| EXPECTED)?);
        }
        match self.json.string()?.as_ref() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            token if is_number(token) => parse(token),
            _ => Err(EXPECTED),
        }
    }

    fn enumeration(&mut self, prefix: &str, names: &[(&str, i32)]) -> Result<i32, Wrong> {
        const EXPECTED: Wrong = "a number or name of the enumeration was expected";
        if self.json.peek() != Some(b'"') {
            return self.integer(EXPECTED);
        }
        let text = self.json.string()?;
        if let Some(number) = Some(&*text).filter(|text| is_number(text)).and_then(integer) {
            return i32::try_from(number).map_err(|_| EXPECTED);
        }
        let known = text.strip_prefix(prefix).and_then(|name| names.iter().find(|(known, _)| *known == name));
        known.map(|(_, number)| *number).ok_or(EXPECTED)
    }
}

// An id from hex. Whatever is not hex of whole bytes becomes bytes of a wrong length, so that its
// item is refused and not the request.
fn id(text: &str, width: usize) -> Vec<u8> {
    let digits: Option<Vec<u8>> =
        text.bytes().map(|byte| char::from(byte).to_digit(16).map(|digit| digit as u8)).collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => {
            digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
        }
        _ => {
            let mut bytes = text.as_bytes().to_vec();
            bytes.truncate(64);
            if bytes.len() == width {
                bytes.push(b'?');
            }
            bytes
        }
    }
}
