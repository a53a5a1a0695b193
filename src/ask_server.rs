//! Asking a running server over its own API, for commands that print what it says.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use ureq::http::Request;

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// Which server, and as whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7700")]
    pub(crate) endpoint: String,
    /// Tenant to ask for
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// Header for every request, such as an authorization; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
}

impl ServerArgs {
    /// The answer to a question under `/api/v1`: with a body it is posted.
    pub(crate) fn ask(&self, question: &str, body: Option<&Value>) -> anyhow::Result<String> {
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX)).http_status_as_error(false);
        // A proxy from the environment is meant for the world, not for this machine.
        let is_here = ["//127.", "//localhost", "//[::1]"].iter().any(|host| self.endpoint.contains(host));
        let config = if is_here { config.proxy(None) } else { config }.build();
        let url = format!("{}/api/v1/{question}", self.endpoint.trim_end_matches('/'));
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut request = Request::builder().method(method).uri(&url).header("content-type", "application/json");
        if let Some(tenant) = &self.tenant {
            request = request.header("x-scope-orgid", tenant);
        }
        for header in &self.headers {
            let (name, value) = header.split_once(':').context("--header takes `name: value`")?;
            request = request.header(name.trim(), value.trim());
        }
        let request = request.body(body.map(Value::to_string).unwrap_or_default())?;
        let no_answer = || format!("no answer from {}", self.endpoint);
        let mut answer = ureq::Agent::new_with_config(config).run(request).with_context(no_answer)?;
        let text = answer.body_mut().read_to_string().with_context(no_answer)?;
        if answer.status().as_u16() != 200 {
            let said = serde_json::from_str::<Value>(&text)
                .ok()
                .and_then(|value| value["error"]["message"].as_str().map(str::to_owned));
            bail!("{} answered {}: {}", self.endpoint, answer.status().as_u16(), said.unwrap_or(text));
        }
        Ok(text)
    }
}
