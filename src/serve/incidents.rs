//! Incidents, and what people wish of the watch: `/api/v1/incidents`, `/rules`, `/silences`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use access::{Caller, Error};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Uri;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use view::incidents::{Incident, IncidentsAnswer, IncidentsQuestion, RULE, SILENCE};

use crate::answer::{ErrorAnswer, Failure, json};
use crate::app::App;
use crate::params::Params;

type Answer = Result<Response, Failure>;

/// Rules or silences that a tenant may have.
const WISHES_MAX: usize = 1_000;

/// Rules.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RulesAnswer {
    /// As they were written, with their `source`: `api`, or `config` for those of the configuration that no other one of the
    /// same name replaces.
    #[schema(value_type = Vec<Object>)]
    rules: Vec<Value>,
}

/// Silences.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SilencesAnswer {
    /// As they were written, with their `source`: `api`, or `config` for those of the configuration that no other one of the
    /// same id replaces.
    #[schema(value_type = Vec<Object>)]
    silences: Vec<Value>,
}

/// What was wrong, and who was to blame: those that last first, then the newest.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "faults", params(
    ("from" = Option<String>, Query, description = "Over after that, or not over yet; inclusive"),
    ("to" = Option<String>, Query, description = "Opened before that; exclusive"),
    ("state" = Option<String>, Query, description = "open, closed, suspected, dropped or merged; open and closed ones when absent"),
    ("limit" = Option<u32>, Query, description = "At most so many, 1,000 at most; 100 when absent")),
    responses((status = 200, description = "The incidents", body = IncidentsAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn incidents(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["from", "to", "state", "limit"], &[])?;
    let question =
        IncidentsQuestion { range: params.range()?, state: params.owned("state"), limit: params.count("limit")? };
    Ok(json(&app.view.incidents(&caller.tenant, question, app.status.now_ns()).await?))
}

/// One incident.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "faults", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The incident", body = Incident),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn incident(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Answer {
    Params::read(&uri, &[], &[])?;
    Ok(json(&app.view.incident(&caller.tenant, &id).await?))
}

/// The rules: what opens an incident whatever is usual.
#[utoipa::path(get, path = "/api/v1/rules", tag = "faults",
    responses((status = 200, description = "The rules", body = RulesAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn rules(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    Params::read(&uri, &[], &[])?;
    Ok(json(&RulesAnswer { rules: wishes(&app, &caller, RULE).await? }))
}

/// Keeps a rule; one of the same name is replaced, also one of the configuration, for this tenant. `{"name", "enabled"?,
/// "when": {"kind": "threshold", "signal", "service", "operation"?, "above"?, "below"?, "window_s", "requests_min"?} |
/// {"kind": "error_pattern", "service", "pattern"?, "severity_min"?, "count", "window_s"} |
/// {"kind": "new_pattern", "service", "severity_min"?} | {"kind": "absence", "service", "for_s"}}`; a service is a name, `*`,
/// or `name*`.
#[utoipa::path(post, path = "/api/v1/rules", tag = "faults", request_body = Object,
    responses((status = 200, description = "The rule as it is kept", body = Object),
        (status = "default", description = "What is wrong with it", body = ErrorAnswer)))]
pub(crate) async fn put_rule(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    keep(&app, &caller, RULE, &uri, &body).await
}

/// Ends a rule that is kept here; one of the configuration that it replaced is in force again.
#[utoipa::path(delete, path = "/api/v1/rules/{name}", tag = "faults", params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The rules that are left", body = RulesAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn end_rule(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answer {
    end(&app, &caller, RULE, &name).await?;
    Ok(json(&RulesAnswer { rules: wishes(&app, &caller, RULE).await? }))
}

/// The silences: of what nobody is told for a while.
#[utoipa::path(get, path = "/api/v1/silences", tag = "faults",
    responses((status = 200, description = "The silences", body = SilencesAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn silences(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    Params::read(&uri, &[], &[])?;
    Ok(json(&SilencesAnswer { silences: wishes(&app, &caller, SILENCE).await? }))
}

/// Keeps a silence; one of the same id is replaced, also one of the configuration, for this tenant. `{"id", "service"?, "rule"?,
/// "from_ns", "until_ns", "comment"?}`, times as text (nanoseconds, or RFC 3339): incidents of the service or the rule (a name,
/// `*`, or `name*`) are recorded, and nobody is told.
#[utoipa::path(post, path = "/api/v1/silences", tag = "faults", request_body = Object,
    responses((status = 200, description = "The silence as it is kept", body = Object),
        (status = "default", description = "What is wrong with it", body = ErrorAnswer)))]
pub(crate) async fn put_silence(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    keep(&app, &caller, SILENCE, &uri, &body).await
}

/// Ends a silence that is kept here; one of the configuration that it replaced is in force again.
#[utoipa::path(delete, path = "/api/v1/silences/{id}", tag = "faults", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The silences that are left", body = SilencesAnswer),
        (status = "default", description = "What went wrong", body = ErrorAnswer)))]
pub(crate) async fn end_silence(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answer {
    end(&app, &caller, SILENCE, &id).await?;
    Ok(json(&SilencesAnswer { silences: wishes(&app, &caller, SILENCE).await? }))
}

/// The field that says where a rule or silence comes from.
const SOURCE: &str = "source";

// What tells those of a kind apart.
fn key(kind: &str) -> &'static str {
    if kind == RULE { "name" } else { "id" }
}

fn configured(app: &App, kind: &str, id: &str) -> bool {
    app.status.configured(kind).iter().any(|item| item[key(kind)] == id)
}

async fn wishes(app: &App, caller: &Caller, kind: &str) -> Result<Vec<Value>, Failure> {
    let bodies = app.view.records(&caller.tenant, kind, WISHES_MAX as u64).await?;
    let mut all: Vec<Value> =
        bodies.iter().filter_map(|body| marked(serde_json::from_str(body).ok()?, "api")).collect();
    let kept: HashSet<String> = all.iter().filter_map(|item| item[key(kind)].as_str().map(str::to_owned)).collect();
    let others = app.status.configured(kind).into_iter().filter_map(|item| marked(item, "config"));
    all.extend(others.filter(|item| item[key(kind)].as_str().is_none_or(|id| !kept.contains(id))));
    Ok(all)
}

fn marked(item: Value, source: &str) -> Option<Value> {
    let Value::Object(mut fields) = item else { return None };
    fields.insert(SOURCE.to_owned(), source.into());
    Some(Value::Object(fields))
}

async fn keep(app: &App, caller: &Caller, kind: &str, uri: &Uri, body: &Bytes) -> Answer {
    Params::read(uri, &[], &[])?;
    let text = std::str::from_utf8(body).map_err(|_| Error::invalid("the body is not UTF-8"))?;
    let (id, kept) = app.status.check_wish(kind, &without_source(text)).map_err(Error::invalid)?;
    let known = app.view.records(&caller.tenant, kind, WISHES_MAX as u64).await?;
    if known.len() >= WISHES_MAX && app.view.record(&caller.tenant, kind, &id).await?.is_none() {
        return Err(Error::invalid(format!("there are {WISHES_MAX} already; delete one first")).into());
    }
    app.view.keep_record(&caller.tenant, (kind, &id), Some(kept.clone()), app.status.now_ns()).await?;
    let kept: Value = serde_json::from_str(&kept).unwrap_or_default();
    Ok(json(&kept))
}

// What was listed may be given back.
fn without_source(text: &str) -> Cow<'_, str> {
    let fields = serde_json::from_str(text).ok().filter(|fields: &Map<String, Value>| fields.contains_key(SOURCE));
    fields.map_or(text.into(), |mut fields| {
        fields.remove(SOURCE);
        Value::Object(fields).to_string().into()
    })
}

async fn end(app: &App, caller: &Caller, kind: &str, id: &str) -> Result<(), Failure> {
    if app.view.record(&caller.tenant, kind, id).await?.is_none() {
        if configured(app, kind, id) {
            let name = key(kind);
            let reason = format!("the {kind} `{id}` is one of the configuration (`watch.{kind}s`) and ends there");
            let way = format!("a {kind} of the same {name} that is kept here stands in its place");
            return Err(Error::invalid(format!("{reason}; {way}")).into());
        }
        return Err(Error::new(access::Code::NotFound, format!("there is no {kind} `{id}`")).into());
    }
    Ok(app.view.keep_record(&caller.tenant, (kind, id), None, app.status.now_ns()).await?)
}
