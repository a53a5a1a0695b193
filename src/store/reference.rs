//! `docs/schema.md`: the tables and columns as people read them, written from the column table.

use std::fmt::Write as _;
use std::path::Path;

use model::{Table, TableDef};

const HEAD: &str = "# Tables and columns

Generated from the column table in `src/model`; `UPDATE_DOCS=1 cargo test -p hypocenter-store` rewrites it.

Tables and columns that the OpenTelemetry ClickHouse exporter has keep its names, so that its dashboards and
queries work here; the columns after them are Hypocenter's own and hold what the exporter loses. The statements
are in `schemas/`. Partitions are UTC days (weeks in the trace index), whatever the server's time zone.
Attributes are stored as text; the type column beside each map gives their types back (`src/model/value.rs`).
`Marks` are the bits of `src/model/mark.rs`. A span that was sent twice in two different requests is stored
twice; count distinct (TraceId, SpanId, ServiceName, SpanKind, Timestamp, Duration) where that matters.
The tables and views of the service graph (`graph_…`) are derived; `schemas/0001/4*.sql` describe them.
So is `evidence_minutes`: what every minute tells fault localization, packed (`src/store/evidence.rs`); it is kept as long as the
graph. So is `log_patterns`, which says what a `PatternKey` means (`schemas/0001/6*.sql`): read it with `FINAL`, and join it
on (Tenant, ServiceName, PatternKey).
";

fn page() -> String {
    let mut page = String::from(HEAD);
    for table in Table::ALL {
        section(&mut page, table.def());
    }
    page
}

fn section(page: &mut String, def: &TableDef) {
    let _ = write!(page, "\n## {}\n\n| column | type | codec | meaning |\n|---|---|---|---|\n", def.name);
    for column in def.columns {
        let _ = writeln!(page, "| `{}` | `{}` | `{}` | {} |", column.name, column.ty, column.codec, column.about);
    }
}

// Scenario: the page in docs.
// Guarantee: it is what the column table says.
#[test]
fn the_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page(), "run the tests with UPDATE_DOCS=1");
}
