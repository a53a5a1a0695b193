//! Reads the 2k sets of Loghub: lines and the templates that people gave them.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// A set of lines with their true templates.
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) lines: Vec<String>,
    pub(crate) templates: Vec<String>,
}

/// The sets below `$HYPOCENTER_DATA/loghub-2k`, by name; none, with a word on what to do, when unset.
pub(crate) fn sets() -> Vec<Set> {
    let Some(data) = std::env::var_os("HYPOCENTER_DATA") else {
        println!(
            "HYPOCENTER_DATA is not set: it names the folder that holds loghub-2k/*.csv.gz. Nothing was measured."
        );
        return Vec::new();
    };
    let folder = PathBuf::from(data).join("loghub-2k");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".csv.gz"));
    paths.sort();
    assert!(!paths.is_empty(), "no .csv.gz in {}", folder.display());
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Set {
    let mut text = Vec::new();
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    GzDecoder::new(file).read_to_end(&mut text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut records = records(&String::from_utf8_lossy(&text)).into_iter();
    let header = records.next().expect("a header");
    let column = |name: &str| header.iter().position(|column| column == name).expect("the column");
    let (content, template) = (column("Content"), column("EventTemplate"));
    let mut set = Set {
        name: path.file_name().map(|name| name.to_string_lossy().replace(".csv.gz", "")).unwrap_or_default(),
        lines: Vec::new(),
        templates: Vec::new(),
    };
    for mut record in records.filter(|record| record.len() == header.len()) {
        set.templates.push(std::mem::take(&mut record[template]));
        set.lines.push(std::mem::take(&mut record[content]));
    }
    set
}

// The records of a CSV text (RFC 4180).
fn records(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let (mut record, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            char => field.push(char),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}
