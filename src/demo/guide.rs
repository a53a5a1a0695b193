//! The page about the shop, made from its tables, so that it cannot tell anything else.

use std::fmt::Write as _;

use crate::fault::Kind;
use crate::shop::{Dialect, HOSTS, LogForm, Svc};
use crate::topology::Topology;

/// Services, edges and faults as Markdown tables, between the words of `docs/demo.md`.
pub fn guide() -> String {
    let mut page = String::from(
        "## Services\n| service | what it does | language | conventions | logs carry their trace id | pods on |\n|---|---|---|---|---|---|\n",
    );
    // Writing to a text cannot fail.
    for service in Svc::ALL.map(Svc::about) {
        let conventions = match service.dialect {
            Dialect::Stable => "OpenTelemetry, stable names (`http.request.method`, `db.system.name`)",
            Dialect::Old => "OpenTelemetry, old names (`http.method`, `db.system`)",
            Dialect::Zipkin => "Zipkin v2 JSON, B3, shared spans",
        };
        let logs = match service.logs {
            LogForm::Fields => "in their fields",
            LogForm::Text => "in the text, `trace_id=…`",
            LogForm::Json => "in the text, which is JSON",
            LogForm::Brackets => "in the text, `[service,trace,span]`",
            LogForm::Attributes => "in attributes",
        };
        let hosts: Vec<&str> = service.pods.iter().map(|(_, host)| HOSTS[*host].0).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {conventions} | {logs} | {} |",
            service.name,
            service.does,
            service.language.name(),
            hosts.join(", ")
        );
    }
    page.push_str("\n## Edges\n| from | to | type | seen as |\n|---|---|---|---|\n");
    for edge in Topology::of_the_shop().edges {
        let _ =
            writeln!(page, "| `{}` | `{}` | {} | {} |", edge.source, edge.target, edge.connection_type, edge.seen_as);
    }
    page.push_str(
        "\n## Faults\n| kind | what it does | default target | default size | size is |\n|---|---|---|---|---|\n",
    );
    for kind in Kind::ALL {
        let dash = |text: String| if text.is_empty() { "–".to_owned() } else { text };
        let _ = writeln!(
            page,
            "| `{}` | {} | `{}` | {} | {} |",
            kind.name(),
            kind.meaning(),
            kind.default_target(),
            dash(kind.default_size_text()),
            dash(kind.size_means().to_owned())
        );
    }
    page
}
