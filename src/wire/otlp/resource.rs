//! Resources and scopes (opentelemetry/proto/{resource,common}/v1) into their columns, and entity
//! references as JSON.

use model::text::StrColumn;
use model::{Resources, Scopes};

use super::attributes::{Attributes, Found, NO_ROLE};
use super::shared::{Bounds, Layout, cut};
use super::value;
use crate::proto::{Cursor, Fault, fields};

const RESOURCE: u64 = fields(&[1, 2, 3]);
const SCOPE: u64 = fields(&[1, 2, 3, 4]);
const ENTITY: u64 = fields(&[1, 2, 3, 4]);

const SERVICE_NAME: u16 = 1;
const SERVICE_VERSION: u16 = 1 << 1;
const SERVICE_INSTANCE: u16 = 0b11_1100;

/// Bits: see the masks above; within the instance group the best comes first.
pub(super) fn resource_role(key: &[u8]) -> u8 {
    match key {
        b"service.name" => 0,
        b"service.version" => 1,
        b"service.instance.id" => 2,
        b"k8s.pod.name" => 3,
        b"host.name" => 4,
        b"container.id" => 5,
        _ => NO_ROLE,
    }
}

/// Appends a resource; gives the marks of what was cut from it.
pub(super) fn push_resource<'a>(
    rows: &mut Resources,
    attributes: &mut Attributes<'a>,
    layout: Layout<'a>,
    bounds: &mut Bounds,
) -> Result<u32, Fault> {
    attributes.begin();
    let mut dropped = 0;
    let mut entities = Entities::default();
    for resource in layout.heads() {
        let mut cursor = Cursor::new(resource);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x0a => attributes.push(&mut rows.attributes, cursor.bytes()?, bounds)?,
                0x10 => dropped = cursor.varint()? as u32,
                0x1a => entities.push(cursor.bytes()?)?,
                key => cursor.skip_unknown(key, RESOURCE)?,
            }
        }
    }
    bounds.charge_pairs(rows.attributes.open_pairs() + 8, layout.group)?;
    attributes.end(&mut rows.attributes, &mut rows.attribute_types);
    Found::push_alone(attributes.promoted(SERVICE_NAME), &mut rows.service_name);
    Found::push_alone(attributes.promoted(SERVICE_VERSION), &mut rows.service_version);
    Found::push_alone(attributes.promoted(SERVICE_INSTANCE), &mut rows.service_instance);
    rows.dropped_attributes.push(u32::saturating_add(dropped, attributes.dropped));
    let mut marks = attributes.row_marks();
    rows.schema_url.push(cut(layout.schema_url, bounds, &mut marks));
    entities.finish(&mut rows.entity_refs);
    Ok(marks)
}

/// Appends a scope; gives the marks of what was cut from it.
pub(super) fn push_scope<'a>(
    rows: &mut Scopes,
    attributes: &mut Attributes<'a>,
    layout: Layout<'a>,
    bounds: &mut Bounds,
) -> Result<u32, Fault> {
    attributes.begin();
    let (mut name, mut version): (&[u8], &[u8]) = (b"", b"");
    let mut dropped = 0;
    for scope in layout.heads() {
        let mut cursor = Cursor::new(scope);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x0a => name = cursor.text()?,
                0x12 => version = cursor.text()?,
                0x1a => attributes.push(&mut rows.attributes, cursor.bytes()?, bounds)?,
                0x20 => dropped = cursor.varint()? as u32,
                key => cursor.skip_unknown(key, SCOPE)?,
            }
        }
    }
    bounds.charge_pairs(rows.attributes.open_pairs() + 6, layout.group)?;
    attributes.end(&mut rows.attributes, &mut rows.attribute_types);
    let mut marks = attributes.row_marks();
    rows.name.push(cut(name, bounds, &mut marks));
    rows.version.push(cut(version, bounds, &mut marks));
    rows.dropped_attributes.push(u32::saturating_add(dropped, attributes.dropped));
    rows.schema_url.push(cut(layout.schema_url, bounds, &mut marks));
    Ok(marks)
}

/// A resource that no row points to: it must be readable all the same.
pub(super) fn check_resource(layout: Layout<'_>, bounds: &mut Bounds) -> Result<(), Fault> {
    let depth = value::depth(&bounds.limits);
    for resource in layout.heads() {
        let mut cursor = Cursor::new(resource);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x0a => drop(value::merge_pair(cursor.bytes()?, bounds, depth)?),
                0x10 => drop(cursor.varint()?),
                0x1a => Entities::default().push(cursor.bytes()?)?,
                key => cursor.skip_unknown(key, RESOURCE)?,
            }
        }
    }
    Ok(())
}

/// A scope that no row points to.
pub(super) fn check_scope(layout: Layout<'_>, bounds: &mut Bounds) -> Result<(), Fault> {
    let depth = value::depth(&bounds.limits);
    for scope in layout.heads() {
        let mut cursor = Cursor::new(scope);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x0a | 0x12 => drop(cursor.text()?),
                0x1a => drop(value::merge_pair(cursor.bytes()?, bounds, depth)?),
                0x20 => drop(cursor.varint()?),
                key => cursor.skip_unknown(key, SCOPE)?,
            }
        }
    }
    Ok(())
}

/// Entity references as a JSON array in the names of OTLP's JSON mapping; empty lists and texts are
/// left out, as proto3 cannot tell them from absent ones.
#[derive(Default)]
struct Entities {
    json: Vec<u8>,
}

impl Entities {
    fn push(&mut self, entity: &[u8]) -> Result<(), Fault> {
        let (mut schema_url, mut kind): (&[u8], &[u8]) = (b"", b"");
        let (mut ids, mut descriptions) = (Vec::new(), Vec::new());
        let mut cursor = Cursor::new(entity);
        while !cursor.is_empty() {
            match cursor.key()? {
                0x0a => schema_url = cursor.text()?,
                0x12 => kind = cursor.text()?,
                0x1a => push_element(&mut ids, cursor.text()?),
                0x22 => push_element(&mut descriptions, cursor.text()?),
                key => cursor.skip_unknown(key, ENTITY)?,
            }
        }
        self.json.push(if self.json.is_empty() { b'[' } else { b',' });
        let before = self.json.len();
        let mut member = |name: &str, value: &[u8]| {
            self.json.push(if self.json.len() == before { b'{' } else { b',' });
            self.json.extend_from_slice(format!("\"{name}\":").as_bytes());
            self.json.extend_from_slice(value);
        };
        for (name, text) in [("schemaUrl", schema_url), ("type", kind)] {
            if !text.is_empty() {
                let mut value = Vec::new();
                push_string(&mut value, text);
                member(name, &value);
            }
        }
        for (name, mut list) in [("idKeys", ids), ("descriptionKeys", descriptions)] {
            if !list.is_empty() {
                list.push(b']');
                member(name, &list);
            }
        }
        if self.json.len() == before {
            self.json.push(b'{');
        }
        self.json.push(b'}');
        Ok(())
    }

    fn finish(mut self, column: &mut StrColumn) {
        if !self.json.is_empty() {
            self.json.push(b']');
        }
        column.push(&self.json);
    }
}

fn push_element(list: &mut Vec<u8>, text: &[u8]) {
    list.push(if list.is_empty() { b'[' } else { b',' });
    push_string(list, text);
}

fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    model::value::push_json_string(out, &String::from_utf8_lossy(text));
}
