//! Tidiness that no compiler checks: import rules of the rooms, absences, module docs, leftovers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom among the rooms (ARCHITECTURE.md, "Rooms"). A room that does not exist yet is fine.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("engine", &[]),
    // It plays a foreign sender: whatever it shared with us, it could not test.
    ("demo", &[]),
    ("wire", &["model"]),
    ("correlate", &["model"]),
    ("locate", &["model"]),
    ("journal", &["model"]),
    ("store", &["model"]),
    ("access", &["model"]),
    ("watch", &["locate", "model"]),
    ("view", &["store", "locate", "correlate", "model"]),
    ("receive", &["access", "wire", "model"]),
    ("serve", &["access", "view", "wire", "model"]),
];

/// What a room must not depend on, with the reason that is shown.
const ABSENT: &[(&[&str], &[&str], &str)] = &[
    (
        &["model", "wire", "correlate", "locate", "watch", "demo"],
        &["tokio", "hyper", "axum", "tracing", "ureq"],
        "pure rooms have no runtime and no I/O",
    ),
    (
        &["model", "correlate", "locate", "watch", "journal", "access", "view", "demo"],
        &["clickhouse"],
        "only store knows ClickHouse",
    ),
    (
        &["model", "correlate", "locate", "journal", "store", "view", "access"],
        &["prost", "opentelemetry-proto"],
        // `demo` is no part of the path: it makes what foreign senders make, so it needs their types.
        "only wire knows protobuf",
    ),
    (
        &["model", "wire", "correlate", "locate", "journal", "store", "view", "access"],
        &["axum", "hyper"],
        "only receive and serve answer over HTTP",
    ),
    (
        &["model", "wire", "correlate", "locate", "store", "view", "serve", "receive", "access"],
        &["libloading"],
        "only engine has FFI",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rooms() -> Vec<String> {
    let mut rooms: Vec<String> = std::fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    rooms.sort();
    rooms
}

/// The names under `[dependencies]` of a room's manifest.
fn dependencies(room: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join("src").join(room).join("Cargo.toml")).unwrap();
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside
            && let Some(name) =
                line.split(['.', '=', ' ']).next().filter(|name| !name.is_empty() && !name.starts_with('#'))
        {
            names.insert(name.to_owned());
        }
    }
    names
}

fn files(under: &Path, ending: &str, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(under) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "node_modules", "dist", ".git"].contains(&name.as_str()) {
                files(&path, ending, out);
            }
        } else if name.ends_with(ending) {
            out.push(path);
        }
    }
}

fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches"] {
        files(&root().join(folder), ".rs", &mut found);
    }
    found
}

// Scenario: the manifests of all rooms.
// Guarantee: no room imports more of ours than its walls allow, and every room stands in the table.
#[test]
fn import_rules_hold() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let rooms = rooms();
    for room in &rooms {
        let allowed = allowed.get(room.as_str()).unwrap_or_else(|| panic!("src/{room} is not in the import table"));
        for name in dependencies(room).iter().filter(|name| rooms.contains(name)) {
            assert!(allowed.contains(&name.as_str()), "src/{room} must not import {name}");
        }
    }
}

// Scenario: the manifests of all rooms.
// Guarantee: what a room must not know, it cannot reach.
#[test]
fn absences_hold() {
    for (rooms, banned, reason) in ABSENT {
        for room in rooms.iter().filter(|room| root().join("src").join(room).join("Cargo.toml").exists()) {
            if let Some(name) = dependencies(room).iter().find(|name| banned.contains(&name.as_str())) {
                panic!("src/{room} must not depend on {name}: {reason}");
            }
        }
    }
}

/// Whether the file beside it that names it does so for tests only.
fn is_test_module(path: &Path) -> bool {
    let declared = format!("#[cfg(test)]\nmod {};", path.file_stem().unwrap().to_string_lossy());
    ["lib.rs", "mod.rs"]
        .iter()
        .any(|parent| std::fs::read_to_string(path.with_file_name(parent)).is_ok_and(|text| text.contains(&declared)))
}

// Scenario: every Rust file.
// Guarantee: it opens by saying why it exists; no clock or environment is read where it must not be; nothing is unfinished.
#[test]
fn sources_are_tidy() {
    let pure = ["src/model/", "src/wire/", "src/correlate/", "src/locate/", "src/watch/", "src/demo/"];
    for path in rust_files() {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{name} does not open with a module doc");
        let code = text.split("#[cfg(test)]").next().unwrap();
        if pure.iter().any(|room| name.starts_with(room))
            && !name.contains("/examples/")
            && !name.contains("/tests/")
            && !is_test_module(&path)
        {
            for banned in ["SystemTime::now", "Instant::now", "std::fs", "std::net", "std::thread"] {
                assert!(!code.contains(banned), "{name} uses {banned}: pure rooms have no clock and no I/O");
            }
        }
        if name.starts_with("src/")
            && name != "src/config.rs"
            && !name.contains("/examples/")
            && !name.contains("/tests/")
            && !is_test_module(&path)
        {
            assert!(!code.contains("env::var"), "{name} reads the environment: only src/config.rs may");
        }
        for leftover in ["todo!(", "unimplemented!(", "#[ignore", "dbg!("] {
            assert!(name.ends_with("tidy.rs") || !text.contains(leftover), "{name} contains {leftover}");
        }
    }
}

// Scenario: the files every reader starts with.
// Guarantee: they exist, and the glossary is not empty.
#[test]
fn the_house_is_described() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "LICENSE",
        ".ci/run",
        "docs/schema.md",
        "docs/configuration.md",
        "docs/demo.md",
    ] {
        assert!(root().join(name).exists(), "{name} is missing");
    }
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let glossary = map.split("## Glossary").nth(1).expect("ARCHITECTURE.md has a glossary");
    assert!(glossary.lines().filter(|line| line.starts_with("- **")).count() >= 10, "the glossary has too few words");
    for room in rooms() {
        assert!(map.contains(&format!("`{room}/`")), "ARCHITECTURE.md does not mention the room {room}");
    }
}
