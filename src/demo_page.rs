//! The demo's own small page, on which faults are switched on and off while the shop runs, and the
//! same as an API. Plain forms: no script. It has no password, so it refuses what other sites send.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{delete, get, post};
use demo::{Fault, Kind, Order, Topology};
use serde_json::{Value, json};

use crate::demo_run::{Stage, in_words};

/// Faults shown that are over.
const PAST_MAX: usize = 20;

/// Serves the page from now on, beside the run; its address.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn serve(address: &str, stage: Arc<Stage>) -> anyhow::Result<String> {
    let listener =
        tokio::net::TcpListener::bind(address).await.with_context(|| format!("listening on {address} (--control)"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/", get(page))
        .route("/state", get(state))
        .route("/style.css", get(style))
        .route("/on", post(form_on))
        .route("/off", post(form_off))
        .route("/api/faults", get(faults).post(api_on).delete(api_all_off))
        .route("/api/faults/{id}", delete(api_off))
        .route("/api/status", get(|State(stage): State<Arc<Stage>>| async move { answer(&stage.status()) }))
        .route("/api/topology", get(|| async { answer(&Topology::of_the_shop().to_json()) }))
        .layer(middleware::from_fn(guard))
        .with_state(stage);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

// Refuses what a page of another site sends, and keeps this one from loading anything else.
async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let foreign = origin.is_some_and(|origin| origin.split_once("//").is_none_or(|(_, site)| site != host));
    if foreign && !request.method().is_safe() {
        return refuse(StatusCode::FORBIDDEN, "this page takes orders only from itself");
    }
    let mut response = next.run(request).await;
    let policy = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'self'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(policy));
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

async fn faults(State(stage): State<Arc<Stage>>) -> Response {
    let menu = Kind::ALL.map(|kind| {
        json!({
            "kind": kind.name(), "meaning": kind.meaning(), "target": kind.default_target(), "targets": kind.targets(),
            "size": kind.default_size_text(), "size_means": kind.size_means(),
        })
    });
    let now_ns = stage.now_ns();
    let shop = stage.shop();
    let of = |wanted: fn(&Fault, i64) -> bool| -> Vec<Value> {
        shop.faults().iter().filter(|fault| wanted(fault, now_ns)).map(Fault::truth).collect()
    };
    answer(&json!({
        "menu": menu,
        "on": of(|fault, now_ns| fault.is_on(now_ns)),
        "planned": of(|fault, now_ns| fault.from_ns > now_ns),
        "over": of(|fault, now_ns| fault.is_over(now_ns)),
    }))
}

async fn api_on(State(stage): State<Arc<Stage>>, body: String) -> Response {
    let wanted: Value = match serde_json::from_str(&body) {
        Ok(wanted @ Value::Object(_)) => wanted,
        Ok(_) => return refuse(StatusCode::BAD_REQUEST, "the body is an object with `kind`"),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &format!("the body is not JSON: {error}")),
    };
    let part = |key: &str| match &wanted[key] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        other => Err(format!("`{key}` is a text, not {other}")),
    };
    let known = ["kind", "target", "size", "for"];
    let unknown = wanted.as_object().into_iter().flatten().find(|(key, _)| !known.contains(&key.as_str()));
    let order = match unknown {
        Some((key, _)) => Err(format!("`{key}` is not known; there are {}", known.join(", "))),
        None => part("kind").and_then(|kind| {
            let kind = kind.ok_or("`kind` is missing")?;
            order(&kind, part("target")?.as_deref(), part("size")?.as_deref(), part("for")?.as_deref())
        }),
    };
    match order {
        Ok(order) => (StatusCode::CREATED, answer(&switch_on(&stage, &order))).into_response(),
        Err(reason) => refuse(StatusCode::BAD_REQUEST, &reason),
    }
}

async fn api_off(State(stage): State<Arc<Stage>>, Path(id): Path<u32>) -> Response {
    let now_ns = stage.now_ns();
    let ended = stage.shop().switch_off(id, now_ns);
    match ended {
        Some(truth) => answer(&truth),
        None => refuse(StatusCode::NOT_FOUND, &format!("no fault {id} is on or planned")),
    }
}

async fn api_all_off(State(stage): State<Arc<Stage>>) -> Response {
    answer(&Value::from(all_off(&stage)))
}

async fn form_on(State(stage): State<Arc<Stage>>, headers: HeaderMap, body: String) -> Response {
    let field = |name: &str| form_field(&headers, &body, name);
    let kind = field("kind").unwrap_or_default();
    match order(&kind, field("target").as_deref(), field("size").as_deref(), field("for").as_deref()) {
        Ok(order) => {
            switch_on(&stage, &order);
            Redirect::to("/").into_response()
        }
        Err(reason) => {
            let back = "<!doctype html><title>Not done</title><link rel=stylesheet href=/style.css>";
            let page = format!("{back}<p>{}</p><p><a href=/>Back</a></p>", escape(&reason));
            (StatusCode::BAD_REQUEST, Html(page)).into_response()
        }
    }
}

async fn form_off(State(stage): State<Arc<Stage>>, headers: HeaderMap, body: String) -> Redirect {
    match form_field(&headers, &body, "id").and_then(|id| id.parse().ok()) {
        Some(id) => {
            let now_ns = stage.now_ns();
            // One that is over already needs nothing more.
            let _ = stage.shop().switch_off(id, now_ns);
        }
        None => drop(all_off(&stage)),
    }
    Redirect::to("/")
}

fn order(kind: &str, target: Option<&str>, size: Option<&str>, length: Option<&str>) -> Result<Order, String> {
    let mut order = Order::new(kind, target, size)?;
    if let Some(length) = length.map(str::trim).filter(|length| !length.is_empty()) {
        let ms = demo::parse_length(length).filter(|ms| *ms > 0.0);
        order.for_ms = Some(ms.ok_or_else(|| format!("`{length}` is not a length of time such as 90s or 5m"))?);
    }
    Ok(order)
}

fn switch_on(stage: &Stage, order: &Order) -> Value {
    let now_ns = stage.now_ns();
    stage.shop().switch_on(order, now_ns).truth()
}

fn all_off(stage: &Stage) -> Vec<Value> {
    let now_ns = stage.now_ns();
    let mut shop = stage.shop();
    let lasting: Vec<u32> = shop.faults().iter().filter(|fault| !fault.is_over(now_ns)).map(|fault| fault.id).collect();
    lasting.into_iter().filter_map(|id| shop.switch_off(id, now_ns)).collect()
}

// The menu; what is on is in a frame that loads itself again, so that a half-filled form stays.
async fn page() -> Html<String> {
    let mut page = String::from(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Hypocenter demo</title>\
         <meta name=viewport content=\"width=device-width\"><link rel=stylesheet href=/style.css></head><body>\
         <h1>Break the shop</h1><iframe title=\"What is broken\" src=/state></iframe>\
         <table><thead><tr><th>Fault</th><th>Where, how big, how long</th></tr></thead><tbody>",
    );
    for kind in Kind::ALL {
        let targets: String = kind.targets().iter().fold(String::new(), |mut all, target| {
            let selected = if target == kind.default_target() { " selected" } else { "" };
            // Writing to a text cannot fail.
            let _ = write!(all, "<option{selected}>{}</option>", escape(target));
            all
        });
        let size = match kind.size_means() {
            "" => String::new(),
            means => format!(
                "<input name=size size=6 value=\"{}\" title=\"{means}\" aria-label=\"{means}\">",
                escape(&kind.default_size_text())
            ),
        };
        let (name, meaning) = (kind.name(), escape(kind.meaning()));
        let _ = write!(
            page,
            "<tr><td><b>{name}</b><br>{meaning}</td><td><form method=post action=/on>\
             <input type=hidden name=kind value={name}><select name=target aria-label=Target>{targets}</select> {size} \
             <input name=for size=6 placeholder=\"for, 5m\" aria-label=\"For how long\"> <button>Break</button></form></td></tr>"
        );
    }
    page.push_str("</tbody></table></body></html>");
    Html(page)
}

async fn state(State(stage): State<Arc<Stage>>) -> Html<String> {
    let words = escape(&in_words(&stage));
    let now_ns = stage.now_ns();
    let mut page = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta http-equiv=refresh content=2><title>State</title>\
         <link rel=stylesheet href=/style.css></head><body><p>{words}</p>"
    );
    let shop = stage.shop();
    let (over, lasting): (Vec<&Fault>, Vec<&Fault>) = shop.faults().iter().partition(|fault| fault.is_over(now_ns));
    if lasting.is_empty() {
        page.push_str("<p>Nothing is broken.</p>");
    }
    for fault in &lasting {
        let when = if fault.is_on(now_ns) { "broken" } else { "planned" };
        let _ = write!(
            page,
            "<form method=post action=/off target=_top><input type=hidden name=id value={}><b>{when}</b> {} \
             <button>Mend</button></form>",
            fault.id,
            escape(&fault.to_string())
        );
    }
    if lasting.len() > 1 {
        page.push_str("<form method=post action=/off target=_top><button>Mend everything</button></form>");
    }
    for fault in over.iter().rev().take(PAST_MAX) {
        let _ = write!(page, "<p class=past>mended: {}</p>", escape(&fault.to_string()));
    }
    page.push_str("</body></html>");
    Html(page)
}

async fn style() -> Response {
    let style = "body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:70rem;padding:0 1rem;color-scheme:light dark}\
                 iframe{width:100%;height:11rem;border:1px solid #8888;border-radius:6px}\
                 table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #8884;padding:.5rem;text-align:left;vertical-align:top}\
                 select{max-width:17rem}td:last-child form{white-space:nowrap}form{margin:.2rem 0}.past{margin:0;opacity:.6}";
    ([(header::CONTENT_TYPE, "text/css")], style).into_response()
}

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, answer(&json!({"error": {"message": reason}}))).into_response()
}

// A field of a posted form; `None` also for bodies that are no form.
fn form_field(headers: &HeaderMap, body: &str, name: &str) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    body.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| decode(value))
}

fn decode(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = || u8::from_str_radix(std::str::from_utf8(behind.get(..2)?).ok()?, 16).ok();
        (rest, _) = match (first, hex()) {
            (b'%', Some(byte)) => (&behind[2..], bytes.push(byte)),
            (b'+', _) => (behind, bytes.push(b' ')),
            (byte, _) => (behind, bytes.push(*byte)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: form fields as browsers write them, and broken ones.
    // Guarantee: they read as they were typed; what is no escape stays as it is.
    #[test]
    fn fields() {
        let mut headers = HeaderMap::new();
        let body = "kind=latency&target=checkout-%3Epayment&size=800ms&for=&odd=%zz%4&a=b+c%";
        assert_eq!(form_field(&headers, body, "kind"), None);
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-www-form-urlencoded"));
        for (name, value) in
            [("kind", "latency"), ("target", "checkout->payment"), ("for", ""), ("odd", "%zz%4"), ("a", "b c%")]
        {
            assert_eq!(form_field(&headers, body, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(form_field(&headers, body, "none"), None);
        assert_eq!(escape("a->b <\"&\">"), "a-&gt;b &lt;&quot;&amp;&quot;&gt;");
    }
}
