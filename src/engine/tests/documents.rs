//! Answers of several blocks. The engine formats each block as a document of its own; what leaves the
//! facade must be one.

use crate::support::Engine;

/// Several blocks, some of a few rows and some of many; a column name that needs quoting.
const SQL: &str = "SELECT number AS n, concat('line ', toString(number)) AS \"a \"\"b\"\"\" FROM numbers(5) UNION ALL SELECT number, 'x' FROM numbers(3) UNION ALL SELECT number, 'y' FROM numbers(200000)";
const ROWS: usize = 200_008;

// Scenario: one question of several blocks in every kind of format.
// Guarantee: one header, one document, every row once.
#[test]
fn one_document() {
    let mut engine = Engine::start();
    let client = engine.own();
    let ask = |format: &str| client.sql_with("max_block_size=65536", &format!("{SQL} FORMAT {format}"));
    for (format, header_lines) in [
        ("TSV", 0),
        ("TSVWithNames", 1),
        ("TabSeparatedWithNamesAndTypes", 2),
        ("CSV", 0),
        ("CSVWithNames", 1),
        ("CSVWithNamesAndTypes", 2),
        ("JSONEachRow", 0),
        ("JSONCompactEachRowWithNamesAndTypes", 2),
    ] {
        let text = ask(format).ok();
        assert_eq!(text.lines().count(), ROWS + header_lines, "{format}");
    }
    for format in ["JSON", "JSONCompact", "JSONColumnsWithMetadata"] {
        let document: serde_json::Value =
            serde_json::from_str(&ask(format).ok()).unwrap_or_else(|error| panic!("{format}: {error}"));
        assert!(document["rows"] == ROWS, "{format}: {}", document["rows"]);
    }
    let text = client.sql_with("output_format_json_array_of_rows=1", &format!("{SQL} FORMAT JSONEachRow")).ok();
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap().len(), ROWS);
    assert_eq!(ask("Values").ok().matches("),(").count(), ROWS - 1);
    assert_eq!(ask("XML").ok().matches("<result>").count(), 1);
    let binary = ask("RowBinaryWithNamesAndTypes");
    assert_eq!(binary.body.windows(6).filter(|bytes| bytes == b"UInt64").count(), 1);
    engine.stop();
}

// Scenario: a document that is larger than may lie in memory, and one that fails on its way, in a
// session that goes on afterwards.
// Guarantee: a clean failure instead of a truncated document; the next answer is its own.
#[test]
fn whole_answers_are_bounded() {
    let mut engine = Engine::start();
    let client = engine.own();
    let answer = client.sql("SELECT number, toString(number) FROM numbers(20000000) FORMAT JSON");
    assert_eq!(answer.code(), 396, "{}", answer.text().chars().take(200).collect::<String>());
    for parameters in ["", "session_id=s"] {
        let failed = client.sql_with(
            parameters,
            "SELECT number, throwIf(number = 150000) FROM numbers(200000) SETTINGS max_block_size = 1000 FORMAT JSON",
        );
        assert_eq!(failed.code(), 395);
        assert_eq!(client.sql_with(parameters, "SELECT 1 FORMAT TSV").ok(), "1");
    }
    assert_eq!(client.sql("SELECT count() FROM (SELECT * FROM numbers(20000000)) FORMAT TSV").ok(), "20000000");
    engine.stop();
}
