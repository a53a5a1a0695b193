//! Who may come in, and from where: tokens, browsers under foreign names, and how many at once.
//!
//! A server on a developer's machine is reachable by every web page that the developer opens, unless it
//! looks at `Host` and `Origin`: a page of another origin may not change anything here, and a page whose
//! name was pointed at this machine (DNS rebinding) may not even read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use access::{Caller, Code, Error, Purpose};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, Uri};

use crate::Config;
use crate::answer::Failure;
use crate::app::App;

/// How long a question waits for its turn.
pub(crate) const TURN_MAX: Duration = Duration::from_secs(10);

/// Counts every request, refuses browsers that come the wrong way.
pub(crate) async fn every_request(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let _in_flight = app.metrics.begun();
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let response = match foreign(&app.config, request.method(), request.uri(), request.headers()) {
        Some(why) => Failure::from(Error::new(Code::PermissionDenied, why)).into_response(),
        None => next.run(request).await,
    };
    app.metrics.answered(&route, response.status().as_u16(), began.elapsed());
    response
}

/// Lets a question in: its caller may read, it gets its turn, and it ends in time.
pub(crate) async fn question(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    admitted(&app, request, next, Purpose::Read).await
}

/// Lets a change in: its caller may write.
pub(crate) async fn change(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    admitted(&app, request, next, Purpose::Write).await
}

/// Lets a reader in, without a turn: what is cheap to answer.
pub(crate) async fn reader(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.access.admit(request.headers(), Purpose::Read) {
        Ok(_) => next.run(request).await,
        Err(error) => Failure::from(error).into_response(),
    }
}

async fn admitted(app: &App, mut request: Request, next: Next, purpose: Purpose) -> Response {
    let caller: Caller = match app.access.admit(request.headers(), purpose) {
        Ok(caller) => caller,
        Err(error) => return Failure::from(error).into_response(),
    };
    if purpose == Purpose::Write {
        request.extensions_mut().insert(caller);
        return next.run(request).await;
    }
    let Ok(Ok(_turn)) = tokio::time::timeout(TURN_MAX, app.questions.acquire()).await else {
        let error =
            Error::unavailable("too many questions are being answered; ask again shortly", Duration::from_secs(2));
        return Failure::from(error).into_response();
    };
    request.extensions_mut().insert(caller);
    match tokio::time::timeout(app.config.answer_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::from(Error::new(
            Code::DeadlineExceeded,
            "the answer took too long; narrow the time range or the filter",
        ))
        .into_response(),
    }
}

/// Why a request may not come in; `None` when it may.
fn foreign(config: &Config, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    let host = headers.get(HOST).map_or(uri.authority().map(|authority| authority.as_str()), |host| host.to_str().ok());
    let known = |host: &str| is_known(config, host);
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads {
        if !host.is_none_or(known) {
            return Some(
                "this server does not know the name under which it was called; list it in `access.allowed_hosts`",
            );
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let from = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
            let same = from.is_some_and(|from| host.is_some_and(|host| host.eq_ignore_ascii_case(from)));
            let listed = origin.to_str().is_ok_and(|origin| config.cors_origins.iter().any(|known| known == origin));
            if !same && !listed {
                return Some("pages of another origin may not change anything here");
            }
        }
        return None;
    }
    // A rebound name carries neither `Origin` nor `Sec-Fetch-Site` (the page is of "the same origin" and not
    // trustworthy), so on loopback the name alone decides.
    (config.loopback_only && !host.is_none_or(known))
        .then_some("this server does not know the name under which it was called; list it in `access.allowed_hosts`")
}

/// Names that no stranger can point at this machine: loopback names, addresses, and listed ones.
fn is_known(config: &Config, authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok()
        || config
            .allowed_hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&host) || known.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: requests of programs and browsers under own, foreign and odd names.
    // Guarantee: foreign pages change nothing; rebound names are refused.
    #[test]
    fn names_and_origins() {
        let table = "
            GET  127.0.0.1:7700   -                       -     in
            GET  evil.example     -                       -     out
            GET  evil.example     -                       page  out
            GET  localhost:7700   -                       page  in
            GET  hypo.local:7700  -                       page  in
            POST 127.0.0.1:7700   -                       -     in
            POST [::1]:7700       http://[::1]:7700       page  in
            POST localhost:7700   http://localhost:7700   page  in
            POST localhost:7700   http://evil.example     page  out
            POST localhost:7700   null                    page  out
            POST evil.example     http://evil.example     page  out
            POST evil.example     -                       -     out
            POST app.localhost    -                       -     in
            POST 10.0.0.5:7700    -                       -     in
            POST localhost:7700   https://grafana.example page  in
        ";
        let config = Config {
            allowed_hosts: vec!["hypo.local".into()],
            cors_origins: vec!["https://grafana.example".into()],
            ..Config::default()
        };
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let mut headers = HeaderMap::new();
            headers.insert(HOST, words[1].parse().unwrap());
            if words[2] != "-" {
                headers.insert(ORIGIN, words[2].parse().unwrap());
            }
            if words[3] == "page" {
                headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
            }
            let refused = foreign(&config, &words[0].parse().unwrap(), &Uri::from_static("/"), &headers);
            assert_eq!(if refused.is_some() { "out" } else { "in" }, words[4], "{line}");
        }
    }
}
