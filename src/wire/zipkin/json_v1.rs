//! Zipkin v1 as JSON. Ids wider than 64 bits lose their high part, but for the trace id.

use std::borrow::Cow;
use std::fmt;

use model::SpanId;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json::{Few, Text, Whole, extend, read_each};
use super::span::{self, Endpoint, ZipkinSpan, lower_case};
use super::v1::{BinaryAnnotation, V1Annotation, V1Span, convert};

/// Reads a JSON list of v1 spans.
pub(super) fn read_list<'a>(body: &'a [u8], sink: &mut dyn FnMut(ZipkinSpan<'a>)) -> Result<(), String> {
    read_each(body, &mut |span: V1Span<'a>| convert(span, sink))
}

impl<'de: 'a, 'a> Deserialize<'de> for V1Span<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;
        impl<'de> Visitor<'de> for SpanVisitor {
            type Value = V1Span<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V1Span<'de>, A::Error> {
                let mut span = V1Span::default();
                while let Some(key) = map.next_key::<Text<'_>>()? {
                    read_field(&mut span, &key.0, &mut map)?;
                }
                Ok(span)
            }
        }
        deserializer.deserialize_map(SpanVisitor)
    }
}

fn read_field<'de, A: MapAccess<'de>>(span: &mut V1Span<'de>, key: &str, map: &mut A) -> Result<(), A::Error> {
    match key {
        "traceId" => {
            let text: Text<'_> = map.next_value()?;
            (span.trace_id, span.id64) = span::trace_id(&text.0).map_err(Error::custom)?;
        }
        "id" => {
            let text: Text<'_> = map.next_value()?;
            span.id = low_id(&text.0).map_err(Error::custom)?;
        }
        "parentId" => {
            if let Some(text) = map.next_value::<Option<Text<'_>>>()? {
                span.parent_id = Some(low_id(&text.0).map_err(Error::custom)?).filter(|id| !id.is_none());
            }
        }
        "name" => {
            if let Some(Text(name)) = map.next_value()? {
                span.name = lower_case(name);
            }
        }
        "timestamp" => {
            if let Some(Whole(time_us)) = map.next_value()? {
                span.timestamp_us = time_us;
            }
        }
        "duration" => {
            if let Some(Whole(duration_us)) = map.next_value()? {
                span.duration_us = duration_us;
            }
        }
        "annotations" => extend(&mut span.annotations, few(map)?)?,
        "binaryAnnotations" => extend(&mut span.binary_annotations, few(map)?)?,
        "debug" => {
            if map.next_value::<Option<bool>>()? == Some(true) {
                span.debug = Some(true);
            }
        }
        _ => {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(())
}

fn few<'de, T: Deserialize<'de>, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<T>, A::Error> {
    Ok(map.next_value::<Option<Few<T>>>()?.map_or(Vec::new(), |few| few.0))
}

impl<'de: 'a, 'a> Deserialize<'de> for V1Annotation<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationVisitor;
        impl<'de> Visitor<'de> for AnnotationVisitor {
            type Value = V1Annotation<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an annotation")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V1Annotation<'de>, A::Error> {
                let (mut time_us, mut value, mut endpoint) = (None, None, None);
                while let Some(key) = map.next_key::<Text<'_>>()? {
                    match &*key.0 {
                        "timestamp" => time_us = Some(map.next_value::<Whole>()?.0),
                        "value" => value = Some(map.next_value::<Text<'_>>()?.0),
                        "endpoint" => endpoint = map.next_value::<Option<Endpoint<'_>>>()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let (Some(timestamp_us), Some(value)) = (time_us, value) else {
                    return Err(Error::custom("Incomplete annotation"));
                };
                Ok(V1Annotation { timestamp_us, value, endpoint })
            }
        }
        deserializer.deserialize_map(AnnotationVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for BinaryAnnotation<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BinaryVisitor;
        impl<'de> Visitor<'de> for BinaryVisitor {
            type Value = BinaryAnnotation<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a binary annotation")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BinaryAnnotation<'de>, A::Error> {
                let (mut name, mut value, mut endpoint) = (None, None, None);
                while let Some(key) = map.next_key::<Text<'_>>()? {
                    match &*key.0 {
                        "key" => name = map.next_value::<Option<Text<'_>>>()?,
                        "value" => value = map.next_value::<Option<Plain<'_>>>()?,
                        "endpoint" => endpoint = map.next_value::<Option<Endpoint<'_>>>()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let Text(key) = name.ok_or_else(|| Error::custom("No key in a binary annotation"))?;
                Ok(BinaryAnnotation { key, value: value.and_then(|plain| plain.0), endpoint })
            }
        }
        deserializer.deserialize_map(BinaryVisitor)
    }
}

// Any scalar as text: v1 had typed values, v2 has only text.
struct Plain<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Plain<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlainVisitor;
        impl<'de> Visitor<'de> for PlainVisitor {
            type Value = Plain<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Plain<'de>, E> {
                Ok(Plain(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Plain<'de>, E> {
                Ok(Plain(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Plain<'de>, E> {
                Ok(Plain(Some(Cow::Borrowed(if value { "true" } else { "false" }))))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Plain<'de>, E> {
                Ok(Plain(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Plain<'de>, E> {
                Ok(Plain(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Plain<'de>, E> {
                Ok(Plain(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Plain<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Plain(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Plain(None))
            }
        }
        deserializer.deserialize_any(PlainVisitor)
    }
}

fn low_id(text: &str) -> Result<SpanId, String> {
    let hex = !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !hex {
        return Err(format!("{text} should be a 1 to 32 character lower-hex string with no prefix"));
    }
    Ok(SpanId::from_hex(&text.as_bytes()[text.len().saturating_sub(16)..]).unwrap_or(SpanId::NONE))
}
