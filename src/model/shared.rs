//! Resources and scopes of a batch: held once each, pointed to by their rows.

use crate::column::MapColumn;
use crate::text::{DictColumn, StrColumn, held};

/// Resources, one row each.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// `service.name`, or empty.
    pub service_name: DictColumn,
    /// `service.version`, or empty.
    pub service_version: DictColumn,
    /// `service.instance.id`, else the pod, host or container that stands for it, or empty.
    pub service_instance: DictColumn,
    /// All attributes.
    pub attributes: MapColumn,
    /// Types of the attributes ([`crate::value`]).
    pub attribute_types: DictColumn,
    /// Attributes that the sender or the limits dropped.
    pub dropped_attributes: Vec<u32>,
    /// Schema URL.
    pub schema_url: DictColumn,
    /// Entity references as a JSON array, or empty.
    pub entity_refs: StrColumn,
}

/// Instrumentation scopes, one row each.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    /// Name.
    pub name: DictColumn,
    /// Version.
    pub version: DictColumn,
    /// All attributes.
    pub attributes: MapColumn,
    /// Types of the attributes.
    pub attribute_types: DictColumn,
    /// Attributes that the sender or the limits dropped.
    pub dropped_attributes: Vec<u32>,
    /// Schema URL.
    pub schema_url: DictColumn,
}

impl Resources {
    /// Number of resources.
    pub fn len(&self) -> usize {
        self.service_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.service_name.is_empty()
    }

    /// Appends a resource that is known by its service name only (or has none at all).
    pub fn push_service(&mut self, service: &[u8]) -> u32 {
        self.service_name.push(service);
        self.service_version.push(b"");
        self.service_instance.push(b"");
        if !service.is_empty() {
            self.attributes.push(b"service.name", service);
        }
        self.attributes.end_row();
        self.attribute_types.push(b"");
        self.dropped_attributes.push(0);
        self.schema_url.push(b"");
        self.entity_refs.push(b"");
        self.len() as u32 - 1
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Resources {
            service_name,
            service_version,
            service_instance,
            attributes,
            attribute_types,
            dropped_attributes,
            schema_url,
            entity_refs,
        } = self;
        service_name.heap_bytes()
            + service_version.heap_bytes()
            + service_instance.heap_bytes()
            + attributes.heap_bytes()
            + attribute_types.heap_bytes()
            + held(dropped_attributes)
            + schema_url.heap_bytes()
            + entity_refs.heap_bytes()
    }
}

impl Scopes {
    /// Number of scopes.
    pub fn len(&self) -> usize {
        self.name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.name.is_empty()
    }

    /// Appends a scope without attributes.
    pub fn push_plain(&mut self, name: &[u8], version: &[u8]) -> u32 {
        self.name.push(name);
        self.version.push(version);
        self.attributes.end_row();
        self.attribute_types.push(b"");
        self.dropped_attributes.push(0);
        self.schema_url.push(b"");
        self.len() as u32 - 1
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let Scopes { name, version, attributes, attribute_types, dropped_attributes, schema_url } = self;
        name.heap_bytes()
            + version.heap_bytes()
            + attributes.heap_bytes()
            + attribute_types.heap_bytes()
            + held(dropped_attributes)
            + schema_url.heap_bytes()
    }
}
