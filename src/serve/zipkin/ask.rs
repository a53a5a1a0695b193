//! The questions of `/api/v2`: parameters in, `view`'s answers out, in Zipkin's words.

use std::collections::HashSet;
use std::sync::Arc;

use access::{Caller, Error};
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Uri};
use model::TraceId;
use view::zipkin::{Names, Query, QueryParams, Trace};
use wire::zipkin::answer::{self, Link};
use wire::zipkin::span;

use super::guard::Refusal;
use super::params::Params;
use super::show::shown;
use crate::app::App;

type Answer = Result<Response, Refusal>;
type Shared = State<Arc<App>>;

/// Up to so many names browsers ask anew each time: a system that small is just being set up.
const UNCACHED_MAX: usize = 3;
/// Most ids in one question.
const IDS_MAX: usize = 1_000;

/// `GET /api/v2/services`
pub(super) async fn services(State(app): Shared, Extension(caller): Extension<Caller>) -> Answer {
    let found = names(&app, &caller, Names::Services).await?;
    Ok(list(&found, found.len() > UNCACHED_MAX))
}

/// `GET /api/v2/spans?serviceName`
pub(super) async fn spans(State(app): Shared, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let service = Params::read(&uri)?.required("serviceName")?.to_lowercase();
    let found = names(&app, &caller, Names::Spans(&service)).await?;
    Ok(list(&found, app.view.zipkin_service_count(&caller.tenant) > UNCACHED_MAX))
}

/// `GET /api/v2/remoteServices?serviceName`
pub(super) async fn remote_services(State(app): Shared, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let service = Params::read(&uri)?.required("serviceName")?.to_lowercase();
    let found = names(&app, &caller, Names::RemoteServices(&service)).await?;
    Ok(list(&found, app.view.zipkin_service_count(&caller.tenant) > UNCACHED_MAX))
}

/// `GET /api/v2/autocompleteKeys`
pub(super) async fn autocomplete_keys(State(app): Shared) -> Answer {
    Ok(list(&app.config.zipkin.autocomplete_keys, true))
}

/// `GET /api/v2/autocompleteValues?key`
pub(super) async fn autocomplete_values(State(app): Shared, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri)?;
    let key = params.required("key")?;
    let found = match app.config.zipkin.autocomplete_keys.iter().any(|known| known == key) {
        true => names(&app, &caller, Names::TagValues(key)).await?,
        false => Vec::new(),
    };
    Ok(list(&found, found.len() > UNCACHED_MAX))
}

/// `GET /api/v2/traces`
pub(super) async fn traces(State(app): Shared, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri)?;
    let owned = |name| params.text(name).map(str::to_owned);
    let config = &app.config.zipkin;
    let query = Query::new(QueryParams {
        service: owned("serviceName"),
        remote_service: owned("remoteServiceName"),
        span_name: owned("spanName"),
        annotation_query: owned("annotationQuery"),
        min_duration_us: params.number("minDuration")?,
        max_duration_us: params.number("maxDuration")?,
        end_ts_ms: params.number("endTs")?.unwrap_or_else(|| now_ms(&app)),
        lookback_ms: lookback(&app, &params)?,
        limit: params.number("limit")?.unwrap_or(config.query_limit as i64),
    })
    .map_err(Refusal::invalid)?;
    if !config.search_enabled {
        return lists(Vec::new()).await;
    }
    lists(app.view.zipkin_traces(&caller.tenant, &query, config.strict_trace_id).await?).await
}

/// `GET /api/v2/trace/{id}`
pub(super) async fn trace(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(trace_id): Path<String>,
) -> Answer {
    let shown_id = trace_id.trim();
    let id = parse_id(shown_id)?;
    let found = app.view.zipkin_traces_by_id(&caller.tenant, &[id], app.config.zipkin.strict_trace_id).await?;
    match found.into_iter().next() {
        Some(trace) => aside(move |out| push_trace(out, &trace)).await,
        None => Err(Refusal::not_found(format!("{shown_id} not found"))),
    }
}

/// `GET /api/v2/traceMany?traceIds`
pub(super) async fn trace_many(State(app): Shared, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri)?;
    let given = params.given("traceIds").unwrap_or_default().trim();
    if given.is_empty() {
        return Err(Refusal::invalid("traceIds parameter is empty"));
    }
    if !given.contains(',') {
        return Err(Refusal::invalid("Use /api/v2/trace/{traceId} endpoint to retrieve a single trace"));
    }
    let mut ids: Vec<TraceId> = Vec::new();
    let mut seen = HashSet::new();
    for text in given.splitn(IDS_MAX, ',').map(str::trim) {
        let id = parse_id(text)?;
        if !seen.insert(id) {
            return Err(Refusal::invalid(format!("redundant traceId: {text}")));
        }
        ids.push(id);
    }
    lists(app.view.zipkin_traces_by_id(&caller.tenant, &ids, app.config.zipkin.strict_trace_id).await?).await
}

/// `GET /api/v2/dependencies?endTs&lookback`
pub(super) async fn dependencies(State(app): Shared, Extension(caller): Extension<Caller>, uri: Uri) -> Answer {
    let params = Params::read(&uri)?;
    params.required("endTs")?;
    let end_ts_ms = params.number("endTs")?.ok_or_else(|| Refusal::invalid("endTs is empty"))?;
    let links = app.view.zipkin_links(&caller.tenant, end_ts_ms, lookback(&app, &params)?).await?;
    let mut out = Vec::new();
    answer::push_links(
        &mut out,
        links.iter().map(|link| Link {
            parent: &link.parent,
            child: &link.child,
            calls: link.calls,
            errors: link.errors,
        }),
    );
    Ok(json(out))
}

async fn names(app: &App, caller: &Caller, names: Names<'_>) -> Result<Vec<String>, Refusal> {
    let nobody = matches!(names, Names::Spans("") | Names::RemoteServices(""));
    match app.config.zipkin.search_enabled && !nobody {
        true => Ok(app.view.zipkin_names(&caller.tenant, names).await?),
        false => Ok(Vec::new()),
    }
}

fn lookback(app: &App, params: &Params) -> Result<i64, Refusal> {
    let default = || i64::try_from(app.config.zipkin.default_lookback.as_millis()).unwrap_or(i64::MAX);
    Ok(params.number("lookback")?.unwrap_or_else(default))
}

fn now_ms(app: &App) -> i64 {
    app.status.now_ns() / 1_000_000
}

fn parse_id(text: &str) -> Result<TraceId, Refusal> {
    span::trace_id(text).map(|(id, _)| id).map_err(Refusal::invalid)
}

async fn lists(traces: Vec<Trace>) -> Answer {
    aside(move |out| answer::push_list(out, &traces, push_trace)).await
}

fn push_trace(out: &mut Vec<u8>, trace: &Trace) {
    answer::push_trace(out, trace.iter().map(shown));
}

// Large answers are written beside the threads that serve.
async fn aside(write: impl FnOnce(&mut Vec<u8>) + Send + 'static) -> Answer {
    let written = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        write(&mut out);
        out
    });
    match written.await {
        Ok(bytes) => Ok(json(bytes)),
        Err(error) => {
            tracing::error!(%error, "writing an answer broke off");
            Err(Error::internal("the answer could not be written").into())
        }
    }
}

fn list(names: &[String], may_be_kept: bool) -> Response {
    let mut out = Vec::new();
    answer::push_names(&mut out, names.iter().map(String::as_str));
    let mut response = json(out);
    if may_be_kept {
        let for_a_while = HeaderValue::from_static("max-age=300, must-revalidate");
        response.headers_mut().insert(CACHE_CONTROL, for_a_while);
    }
    response
}

fn json(bytes: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response()
}
