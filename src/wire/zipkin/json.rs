//! Zipkin v2 as JSON. Fields of the model are read by name in any order, unknown ones are passed
//! over, null is absent; values of the wrong type refuse the request.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::span::{self, Annotation, Endpoint, Kind, Tag, ZipkinSpan, lower_case};
use super::{SPAN_ITEMS_MAX, too_many};

/// Reads a JSON list of v2 spans.
pub(super) fn read_list<'a>(body: &'a [u8], sink: &mut dyn FnMut(ZipkinSpan<'a>)) -> Result<(), String> {
    read_each(body, &mut |span: ZipkinSpan<'a>| {
        sink(span);
        Ok(())
    })
}

/// Reads a JSON list, item by item.
pub(super) fn read_each<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    sink: &mut dyn FnMut(T) -> Result<(), String>,
) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("Malformed reading List<Span> from json: {error}"))?;
    let mut reader = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
    let read = List(sink).deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => format!("{error} reading List<Span> from json"),
        _ => format!("Malformed reading List<Span> from json: {error}"),
    })
}

/// Text, and nothing that merely could be written as text. Half of a surrogate pair, which cut
/// strings leave behind, is replaced.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// A whole number, be it written as a float or as a string.
pub(super) struct Whole(pub(super) i64);

struct List<'s, T>(&'s mut dyn FnMut(T) -> Result<(), String>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element()? {
            (self.0)(item).map_err(Error::custom)?;
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(Text(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        deserializer.deserialize_bytes(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;
        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of 64 bits")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                i64::try_from(number).map(Whole).map_err(|_| E::custom(format!("{number} is above 64 bits")))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
                if number.abs() < i64::MAX as f64 {
                    return Ok(Whole(number as i64));
                }
                Err(E::custom(format!("{number} is above 64 bits")))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Whole, E> {
                text.trim().parse().map(Whole).map_err(|_| E::custom(format!("{text:?} is not a whole number")))
            }
        }
        deserializer.deserialize_any(WholeVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ZipkinSpan<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;
        impl<'de> Visitor<'de> for SpanVisitor {
            type Value = ZipkinSpan<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ZipkinSpan<'de>, A::Error> {
                let mut span = ZipkinSpan::default();
                while let Some(key) = map.next_key::<Text<'_>>()? {
                    read_field(&mut span, &key.0, &mut map)?;
                }
                span.finish().map_err(Error::custom)
            }
        }
        deserializer.deserialize_map(SpanVisitor)
    }
}

fn read_field<'de, A: MapAccess<'de>>(span: &mut ZipkinSpan<'de>, key: &str, map: &mut A) -> Result<(), A::Error> {
    match key {
        "traceId" => {
            let text: Text<'_> = map.next_value()?;
            (span.trace_id, span.id64) = span::trace_id(&text.0).map_err(Error::custom)?;
        }
        "id" => {
            let text: Text<'_> = map.next_value()?;
            span.id = span::span_id(&text.0).map_err(Error::custom)?;
        }
        "parentId" => {
            if let Some(text) = map.next_value::<Option<Text<'_>>>()? {
                span.parent_id = span::parent_id(&text.0).map_err(Error::custom)?;
            }
        }
        "kind" => {
            if let Some(Text(name)) = map.next_value::<Option<Text<'_>>>()? {
                let unknown = || Error::custom(format!("No enum constant zipkin2.Span.Kind.{name}"));
                span.kind = Some(Kind::from_name(&name).ok_or_else(unknown)?);
            }
        }
        "name" => {
            if let Some(Text(name)) = map.next_value::<Option<Text<'_>>>()? {
                span.name = lower_case(name);
            }
        }
        "timestamp" => {
            if let Some(Whole(time_us)) = map.next_value()? {
                span.timestamp_us = time_us.max(0) as u64;
            }
        }
        "duration" => {
            if let Some(Whole(duration_us)) = map.next_value()? {
                span.duration_us = duration_us.max(0) as u64;
            }
        }
        "localEndpoint" => span.local = map.next_value::<Option<Endpoint<'_>>>()?.or(span.local.take()),
        "remoteEndpoint" => span.remote = map.next_value::<Option<Endpoint<'_>>>()?.or(span.remote.take()),
        "annotations" => {
            extend(
                &mut span.annotations,
                map.next_value::<Option<Few<Annotation<'_>>>>()?.map_or(Vec::new(), |few| few.0),
            )?;
        }
        "tags" => {
            if let Some(Tags(tags)) = map.next_value()? {
                extend(&mut span.tags, tags)?;
            }
        }
        "debug" => span.debug = map.next_value::<Option<bool>>()?.or(span.debug),
        "shared" => span.shared = map.next_value::<Option<bool>>()?.or(span.shared),
        _ => {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(())
}

impl<'de: 'a, 'a> Deserialize<'de> for Endpoint<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EndpointVisitor;
        impl<'de> Visitor<'de> for EndpointVisitor {
            type Value = Endpoint<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an endpoint")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Endpoint<'de>, A::Error> {
                let mut endpoint = Endpoint::default();
                while let Some(key) = map.next_key::<Text<'_>>()? {
                    match &*key.0 {
                        "serviceName" => {
                            if let Some(Text(name)) = map.next_value()? {
                                endpoint.service_name = lower_case(name);
                            }
                        }
                        "ipv4" | "ipv6" => {
                            if let Some(text) = map.next_value::<Option<Text<'_>>>()? {
                                endpoint.set_ip_text(&text.0);
                            }
                        }
                        "port" => {
                            if let Some(Whole(port)) = map.next_value()? {
                                endpoint.set_port(port).map_err(Error::custom)?;
                            }
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(endpoint)
            }
        }
        deserializer.deserialize_map(EndpointVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Annotation<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationVisitor;
        impl<'de> Visitor<'de> for AnnotationVisitor {
            type Value = Annotation<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an annotation")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotation<'de>, A::Error> {
                let (mut time_us, mut value) = (None, None);
                while let Some(key) = map.next_key::<Text<'_>>()? {
                    match &*key.0 {
                        "timestamp" => time_us = Some(map.next_value::<Whole>()?.0),
                        "value" => value = Some(map.next_value::<Text<'_>>()?.0),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let (Some(timestamp_us), Some(value)) = (time_us, value) else {
                    return Err(Error::custom("Incomplete annotation"));
                };
                Ok(Annotation { timestamp_us, value })
            }
        }
        deserializer.deserialize_map(AnnotationVisitor)
    }
}

/// A list that is not held beyond [`SPAN_ITEMS_MAX`].
pub(super) struct Few<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FewVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Few<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() >= SPAN_ITEMS_MAX {
                        return Err(Error::custom(too_many()));
                    }
                    items.push(item);
                }
                Ok(Few(items))
            }
        }
        deserializer.deserialize_seq(FewVisitor(std::marker::PhantomData))
    }
}

/// Adds `more` (a repeated field) within [`SPAN_ITEMS_MAX`].
pub(super) fn extend<T, E: Error>(items: &mut Vec<T>, more: Vec<T>) -> Result<(), E> {
    if items.len() + more.len() > SPAN_ITEMS_MAX {
        return Err(E::custom(too_many()));
    }
    items.extend(more);
    Ok(())
}

struct Tags<'a>(Vec<Tag<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Tags<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TagsVisitor;
        impl<'de> Visitor<'de> for TagsVisitor {
            type Value = Tags<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tags")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags<'de>, A::Error> {
                let mut tags = Vec::new();
                while let Some(Text(key)) = map.next_key::<Text<'_>>()? {
                    let Some(Text(value)) = map.next_value::<Option<Text<'_>>>()? else {
                        return Err(Error::custom(format!("No value at tags.{key}")));
                    };
                    if tags.len() >= SPAN_ITEMS_MAX {
                        return Err(Error::custom(too_many()));
                    }
                    tags.push((key, value));
                }
                Ok(Tags(tags))
            }
        }
        deserializer.deserialize_map(TagsVisitor)
    }
}
