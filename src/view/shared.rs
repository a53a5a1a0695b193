//! What the rows of an answer share: resources and scopes, told once and pointed to by number; and the
//! small words (nanoseconds as text, kinds, marks) that several answers use.

use std::collections::HashMap;

use model::mark;
use serde::{Serialize, Serializer};
use store::questions::trace::Pairs;
use utoipa::ToSchema;

use crate::attributes::Attributes;

/// Nanoseconds, as a decimal text: 64-bit numbers do not survive every JSON reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ns(pub i128);

impl Serialize for Ns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl From<i64> for Ns {
    fn from(ns: i64) -> Ns {
        Ns(i128::from(ns))
    }
}

impl From<u64> for Ns {
    fn from(ns: u64) -> Ns {
        Ns(i128::from(ns))
    }
}

/// A resource: what produced spans or logs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Resource {
    /// Attributes.
    #[schema(value_type = crate::AttributesShape)]
    pub attributes: Attributes,
    /// Schema URL, or empty.
    pub schema_url: String,
    /// Attributes that the sender or a limit dropped.
    pub dropped_attributes_count: u32,
    /// Entity references as sent; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub entity_refs: Option<serde_json::Value>,
}

/// An instrumentation scope.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Scope {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Attributes.
    #[schema(value_type = crate::AttributesShape)]
    pub attributes: Attributes,
    /// Schema URL, or empty.
    pub schema_url: String,
    /// Attributes that the sender or a limit dropped.
    pub dropped_attributes_count: u32,
}

/// Distinct resources and scopes of an answer, numbered as they appear.
#[derive(Default)]
pub struct Gathered {
    typed: bool,
    resources: Vec<Resource>,
    resource_numbers: HashMap<ResourceKey, u32>,
    scopes: Vec<Scope>,
    scope_numbers: HashMap<ScopeKey, u32>,
}

/// A resource as stored.
#[derive(PartialEq, Eq, Hash)]
pub struct ResourceKey {
    /// Attributes as text.
    pub attributes: Pairs,
    /// Their types.
    pub types: String,
    /// Schema URL.
    pub schema_url: String,
    /// Dropped attributes.
    pub dropped: u32,
    /// Entity references as JSON.
    pub entity_refs: String,
}

/// A scope as stored.
#[derive(PartialEq, Eq, Hash)]
pub struct ScopeKey {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Attributes as text.
    pub attributes: Pairs,
    /// Their types.
    pub types: String,
    /// Schema URL.
    pub schema_url: String,
    /// Dropped attributes.
    pub dropped: u32,
}

impl Gathered {
    /// None yet.
    pub fn new(typed: bool) -> Gathered {
        Gathered { typed, ..Gathered::default() }
    }

    /// Number of a resource.
    pub fn resource(&mut self, key: ResourceKey) -> u32 {
        if let Some(number) = self.resource_numbers.get(&key) {
            return *number;
        }
        let number = self.resources.len() as u32;
        self.resources.push(Resource {
            attributes: Attributes::read(&key.attributes, &key.types, self.typed),
            schema_url: key.schema_url.clone(),
            dropped_attributes_count: key.dropped,
            entity_refs: json(&key.entity_refs),
        });
        self.resource_numbers.insert(key, number);
        number
    }

    /// Number of a scope.
    pub fn scope(&mut self, key: ScopeKey) -> u32 {
        if let Some(number) = self.scope_numbers.get(&key) {
            return *number;
        }
        let number = self.scopes.len() as u32;
        self.scopes.push(Scope {
            name: key.name.clone(),
            version: key.version.clone(),
            attributes: Attributes::read(&key.attributes, &key.types, self.typed),
            schema_url: key.schema_url.clone(),
            dropped_attributes_count: key.dropped,
        });
        self.scope_numbers.insert(key, number);
        number
    }

    /// The resources and scopes by number.
    pub fn into_lists(self) -> (Vec<Resource>, Vec<Scope>) {
        (self.resources, self.scopes)
    }
}

/// Stored JSON as a value; `None` when empty, the text itself when it is not JSON.
pub fn json(text: &str) -> Option<serde_json::Value> {
    (!text.is_empty()).then(|| serde_json::from_str(text).unwrap_or_else(|_| text.into()))
}

/// Number of a stored kind in a list of names; 0 when unknown.
pub fn number_of(names: &[&str], name: &str) -> u8 {
    names.iter().position(|known| *known == name).unwrap_or(0) as u8
}

/// Span kinds as answers write them, by OTLP number.
pub const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
/// Status codes as answers write them, by OTLP number.
pub const STATUSES: [&str; 3] = ["unset", "ok", "error"];

/// The names of the marks of a row.
pub fn mark_names(marks: u32) -> Vec<&'static str> {
    const NAMES: [(u32, &str); 17] = [
        (mark::QUARANTINED, "quarantined"),
        (mark::NO_TIME, "no_time"),
        (mark::NO_DURATION, "no_duration"),
        (mark::END_BEFORE_START, "end_before_start"),
        (mark::ID64, "id64"),
        (mark::SHARED, "shared"),
        (mark::DEBUG, "debug"),
        (mark::TRUNCATED, "truncated"),
        (mark::TRIMMED, "trimmed"),
        (mark::INVALID_IDS, "invalid_ids"),
        (mark::SHARED_FALSE, "shared_false"),
        (mark::DEBUG_FALSE, "debug_false"),
        (mark::ZIPKIN, "zipkin"),
        (mark::NO_BODY, "no_body"),
        (mark::NO_RESOURCE, "no_resource"),
        (mark::CLAMPED, "clamped"),
        (mark::UNKNOWN_NUMBER, "unknown_number"),
    ];
    NAMES.iter().filter(|(bit, _)| marks & bit != 0).map(|(_, name)| *name).collect()
}

/// A trace id as its sender wrote it: 16 digits where it used 64 bits.
pub fn shown_trace_id(id: &str, id64: bool) -> String {
    let padded = id64 && id.len() == 32 && id.starts_with("0000000000000000");
    if padded { id[16..].to_owned() } else { id.to_owned() }
}

/// `None` for an empty text.
pub fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
