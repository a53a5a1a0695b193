//! The place in the source that a log's attributes name, under the present and the older names of
//! OpenTelemetry's conventions. Two statements that say the same are two patterns.

use model::Logs;

use crate::patterns::place;

/// The attributes that name a file, each convention's, the present one first.
pub const FILES: [&str; 2] = ["code.file.path", "code.filepath"];
/// The attributes that name a line.
pub const LINES: [&str; 2] = ["code.line.number", "code.lineno"];
/// The attributes that name a function.
pub const FUNCTIONS: [&str; 2] = ["code.function.name", "code.function"];

/// Which attributes of a batch's logs name places.
pub(crate) struct Places {
    // By number of the attribute's key: its part of a place, and which convention's.
    parts: Vec<Option<(usize, usize)>>,
}

impl Places {
    /// None when no log of the batch has such an attribute: the keys' dictionary tells.
    pub(crate) fn of(logs: &Logs) -> Option<Places> {
        let part = |key: &[u8]| {
            key.strip_prefix(b"code.")?;
            let names = [FILES, LINES, FUNCTIONS];
            let found = |names: &[&str; 2]| names.iter().position(|name| name.as_bytes() == key);
            names.iter().enumerate().find_map(|(part, names)| Some((part, found(names)?)))
        };
        let parts: Vec<_> = logs.attributes.keys.dict().iter().map(part).collect();
        parts.iter().any(Option::is_some).then_some(Places { parts })
    }

    /// The place of a log; 0 for none.
    pub(crate) fn at(&self, logs: &Logs, row: usize) -> u64 {
        let mut values: [[&[u8]; 2]; 3] = [[b""; 2]; 3];
        for pair in logs.attributes.pairs_of(row) {
            if let Some((part, convention)) = self.parts[logs.attributes.keys.index()[pair] as usize] {
                let value = &mut values[part][convention];
                // Of a key that comes twice, the first, as everywhere.
                *value = if value.is_empty() { logs.attributes.values.get(pair) } else { value };
            }
        }
        let [file, line, function] = values.map(|[present, old]| if present.is_empty() { old } else { present });
        place(file, line, function)
    }
}
