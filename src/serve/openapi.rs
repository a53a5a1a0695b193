//! The description of the API, generated from the handlers and answer types. The copy that the UI's
//! types are made from (`ui/openapi.json`) is compared with it by a test.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa::OpenApi;

use crate::{answer, ask, changes, incidents, process};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hypocenter",
        description = "Times are nanoseconds since the epoch as strings; ids are lower hex; windows are half-open. Fields may be added, never renamed.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        ask::services,
        ask::operations,
        ask::traces,
        ask::trace,
        ask::logs,
        ask::histogram,
        ask::patterns,
        changes::changes,
        ask::graph,
        ask::suspects,
        ask::tell_feedback,
        ask::feedback,
        incidents::incidents,
        incidents::incident,
        incidents::rules,
        incidents::put_rule,
        incidents::end_rule,
        incidents::silences,
        incidents::put_silence,
        incidents::end_silence,
        ask::ledger,
        process::ingest,
        process::flush,
        process::health,
        process::ready,
        process::metrics,
        openapi,
    ),
    components(schemas(answer::ErrorAnswer))
)]
struct Api;

/// The document as JSON, pretty-printed, with a final line end.
pub fn document() -> String {
    let mut text = Api::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "process", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(crate) async fn openapi() -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, document()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    // Scenario: every route of the API, and every path of the description.
    // Guarantee: they are the same; every answer has the description that OpenAPI requires. Health and readiness have more names than are described.
    #[test]
    fn every_route_is_described() {
        let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let mut described: Vec<String> = Vec::new();
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().unwrap() {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let text = answer["description"].as_str().unwrap_or_default();
                    assert!(!text.is_empty(), "{method} {path} does not describe its answer {status}");
                }
            }
            described.extend(methods.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
        }
        let mut routed: Vec<String> = ROUTES.iter().map(|(method, path)| format!("{method} {path}")).collect();
        described.sort();
        routed.sort();
        assert_eq!(described, routed);
    }

    // Scenario: the copy of the description that the UI's types are made from.
    // Guarantee: it is fresh. `UPDATE_DOCS=1` rewrites it.
    #[test]
    fn the_copy_is_fresh() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/openapi.json");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, document()).unwrap();
        }
        let copy = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(copy == document(), "ui/openapi.json is not what the code says: run this test with UPDATE_DOCS=1");
    }
}
