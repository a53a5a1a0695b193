//! `GET /api/v1/changes`: parameters in, `view`'s answer out; an assistant's `compare_windows` reads the same parameters.

use std::sync::Arc;

use access::{Caller, Error};
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::Uri;
use view::changes::{ChangesAnswer, ChangesQuestion};

use crate::answer::{ErrorAnswer, Failure, json_aside};
use crate::app::App;
use crate::params::Params;

/// Parameters of a comparison.
const PARAMETERS: [&str; 8] =
    ["before_from", "before_to", "after_from", "after_to", "service", "before_version", "after_version", "limit"];

/// What changed between two windows: services, edges, operations, errors, log patterns, attribute values, instances
/// and versions that are new, have vanished, or are seen far more or less often; or how two versions of a service
/// differ within one window. What has most to do with failing requests comes first.
#[utoipa::path(get, path = "/api/v1/changes", tag = "faults", params(
    ("before_from" = Option<String>, Query, description = "Start of the first window; when absent it is as long as the second"),
    ("before_to" = Option<String>, Query, description = "End of the first window; the start of the second when absent"),
    ("after_from" = Option<String>, Query, description = "Start of the second window; 15 minutes before its end when absent"),
    ("after_to" = Option<String>, Query, description = "End of the second window; now when absent"),
    ("service" = Option<String>, Query, description = "Only what belongs to this service"),
    ("before_version" = Option<String>, Query, description = "With `service` and `after_version`: this version of it, instead of the first window"),
    ("after_version" = Option<String>, Query, description = "The version that is compared with it, within the second window"),
    ("limit" = Option<u32>, Query, description = "Changes in the answer, 1,000 at most; 50 when absent")),
    responses((status = 200, description = "The changes, those of failing requests first", body = ChangesAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn changes(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Failure> {
    let question = question(&Params::read(&uri, &PARAMETERS, &[])?)?;
    json_aside(app.view.changes(&caller.tenant, question, app.status.now_ns()).await?).await
}

/// What a comparison asks.
pub(crate) fn question(params: &Params) -> Result<ChangesQuestion, Failure> {
    let versions = match (params.owned("before_version"), params.owned("after_version")) {
        (None, None) => None,
        (Some(before), Some(after)) => Some((before, after)),
        _ => return Err(Error::invalid("`before_version` and `after_version` come together").into()),
    };
    Ok(ChangesQuestion {
        before: params.range_of("before_from", "before_to")?,
        after: params.range_of("after_from", "after_to")?,
        service: params.owned("service"),
        versions,
        limit: params.count("limit")?,
    })
}
