//! Query parameters as Zipkin reads them: the first of a name counts, unknown ones are passed over, an
//! empty one is absent.

use axum::extract::Query;
use http::Uri;

use super::guard::Refusal;

/// The parameters of a request.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads them.
    pub(super) fn read(uri: &Uri) -> Result<Params, Refusal> {
        let read = Query::<Vec<(String, String)>>::try_from_uri(uri);
        read.map(|Query(pairs)| Params(pairs)).map_err(|_| Refusal::invalid("the query string cannot be read"))
    }

    /// A value, also an empty one.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A value.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// A value that has to be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.given(name).ok_or_else(|| Refusal::invalid(format!("the parameter {name} is missing")))
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text: &str| {
            text.trim().parse().map_err(|_| {
                let shown: String = text.chars().take(60).collect();
                Refusal::invalid(format!("{name} is not a whole number in range: {shown}"))
            })
        };
        self.text(name).map(read).transpose()
    }
}
