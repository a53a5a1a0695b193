//! The UI's files, embedded when they were there at build time. A path is an asset or else the index,
//! because the UI's own routes live in the browser. Hashed assets are cached for ever, the index never.
//! The index's `<base>` is rewritten to the way up to the server's root, so that the same files work
//! under any prefix. Spec: conventions.md, the UI.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
#[allow_missing = true]
struct Dist;

/// One file.
pub(crate) struct File {
    content: Cow<'static, [u8]>,
    digest: String,
}

/// Where files come from.
pub(crate) struct Pages {
    find: fn(&str) -> Option<File>,
}

/// Shown when the program was built without the UI.
const ABSENT: &str = "<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>Hypocenter</title></head>
<body>
<h1>Hypocenter is running</h1>
<p>This program was built without its pages. Build them and it again:</p>
<pre>make build</pre>
<p>The API is complete without them: <a href=\"api/openapi.json\">its description</a>, <a href=\"api/v1/services\">services</a>,
<a href=\"api/v1/traces\">traces</a>, <a href=\"api/v1/logs\">logs</a>, <a href=\"api/v1/ingest\">ingest</a>, <a href=\"metrics\">metrics</a>.</p>
</body>
</html>
";

impl Pages {
    /// The embedded files.
    pub(crate) fn embedded() -> Pages {
        Pages { find: embedded }
    }
}

fn embedded(path: &str) -> Option<File> {
    let file = Dist::get(path)?;
    let digest = file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    Some(File { content: file.data, digest })
}

/// The answer to a path outside the API.
pub(crate) fn page(pages: &Pages, path: &str, headers: &HeaderMap) -> Response {
    let name = path.trim_start_matches('/');
    let safe = !name.split('/').any(|part| part == ".." || part.is_empty()) && !name.contains('\\');
    let is_index = name == "index.html";
    let file = if safe && !is_index { (pages.find)(name) } else { None };
    if let Some(file) = file {
        return asset(name, file, headers);
    }
    // What is named like a file is one; a service or trace in the UI's own paths may hold a dot too.
    let last = name.rsplit('/').next().unwrap_or_default();
    let file_like = !name.contains('/') && last.rsplit_once('.').is_some_and(|(_, kind)| mime(kind).is_some());
    if !is_index && (name.starts_with("assets/") || file_like) {
        return plain(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "not found\n".into());
    }
    let Some(index) = (pages.find)("index.html") else {
        return plain(StatusCode::OK, "text/html; charset=utf-8", ABSENT.into());
    };
    let html = String::from_utf8_lossy(&index.content);
    plain(StatusCode::OK, "text/html; charset=utf-8", rebased(&html, path))
}

fn asset(name: &str, file: File, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", file.digest);
    let unchanged = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = Response::new(if unchanged { Body::empty() } else { Body::from(file.content.into_owned()) });
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    // The build puts a digest of the content into the names under assets/.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let kind = name.rsplit_once('.').and_then(|(_, kind)| mime(kind)).unwrap_or("application/octet-stream");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(tag) = tag.parse() {
        headers.insert(ETAG, tag);
    }
    response
}

fn plain(status: StatusCode, kind: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The index with its `<base>` set to the way up from `path` to the root.
fn rebased(html: &str, path: &str) -> String {
    const OPEN: &str = "<base href=\"";
    let levels = path.trim_start_matches('/').matches('/').count();
    let up = if levels == 0 { "./".to_owned() } else { "../".repeat(levels.min(32)) };
    let Some(from) = html.find(OPEN).map(|at| at + OPEN.len()) else { return html.to_owned() };
    let Some(to) = html[from..].find('"').map(|at| at + from) else { return html.to_owned() };
    format!("{}{up}{}", &html[..from], &html[to..])
}

fn mime(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(path: &str) -> Option<File> {
        let content: &'static [u8] = match path {
            "index.html" => b"<head><base href=\"./\" /></head>",
            "assets/app-1a2b.js" => b"js",
            "logo.svg" => b"svg",
            _ => return None,
        };
        Some(File { content: content.into(), digest: "d1".into() })
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    // Scenario: the root, the UI's own routes at several depths, assets, missing assets, escapes.
    // Guarantee: asset or index; the base leads to the root; nothing outside the folder is served.
    #[tokio::test]
    async fn asset_or_index() {
        let table = "
            /                        200 no-cache   <head><base href=\"./\" /></head>
            /traces                  200 no-cache   <head><base href=\"./\" /></head>
            /trace/abc               200 no-cache   <head><base href=\"../\" /></head>
            /trace/abc/              200 no-cache   <head><base href=\"../../\" /></head>
            /index.html              200 no-cache   <head><base href=\"./\" /></head>
            /logo.svg                200 no-cache   svg
            /assets/app-1a2b.js      200 immutable  js
            /assets/gone.js          404 no-cache   not found
            /favicon.ico             404 no-cache   not found
            /../Cargo.toml           200 no-cache   <head><base href=\"../\" /></head>
            //logo.svg               200 no-cache   svg
        ";
        let pages = Pages { find: some };
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.splitn(4, ' ').map(str::trim);
            let path = words.next().unwrap();
            let rest: Vec<&str> = line[path.len()..].trim().splitn(3, ' ').map(str::trim).collect();
            let response = page(&pages, path, &HeaderMap::new());
            assert_eq!(response.status().as_u16().to_string(), rest[0], "{path}");
            assert!(response.headers()[CACHE_CONTROL].to_str().unwrap().contains(rest[1]), "{path}");
            assert_eq!(text(response).await.trim(), rest[2], "{path}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, "\"d1\"".parse().unwrap());
        assert_eq!(page(&pages, "/logo.svg", &headers).status(), StatusCode::NOT_MODIFIED);
    }

    // Scenario: a program built without the UI.
    // Guarantee: a page says so, and what to do.
    #[tokio::test]
    async fn without_ui() {
        let response = page(&Pages { find: |_| None }, "/traces", &HeaderMap::new());
        assert!(text(response).await.contains("make build"));
    }
}
