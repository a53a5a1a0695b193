//! Path and query parameters: read once, every name known, every value used. A misspelt filter must not
//! quietly widen an answer, so unknown and doubled names are refused.

use access::Error;
use axum::extract::{FromRequestParts, Path, Query};
use http::Uri;
use http::request::Parts;
use serde_json::Value;
use view::TimeRange;

use crate::answer::Failure;

/// The parameters of a request.
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

/// The part of a path that names something. One that is no text is refused as everything else is.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Segment, Failure> {
        let refuse = |_| Error::invalid("the path is not valid UTF-8 once its percent signs are read");
        Ok(Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| Segment(text)).map_err(refuse)?)
    }
}

impl Params {
    /// Reads them. `repeatable` names may come more than once.
    pub(crate) fn read(uri: &Uri, known: &[&str], repeatable: &[&str]) -> Result<Params, Failure> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Error::invalid("the query string cannot be read"))?;
        Params::of_pairs(pairs, known, repeatable)
    }

    fn of_pairs(pairs: Vec<(String, String)>, known: &[&str], repeatable: &[&str]) -> Result<Params, Failure> {
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) && !repeatable.contains(&name.as_str()) {
                let shown = beginning(name);
                let all = [known, repeatable].concat().join(", ");
                return Err(Error::invalid(format!("there is no parameter `{shown}` here; there are: {all}")).into());
            }
            let doubled = pairs[..at].iter().any(|(other, _)| other == name);
            if doubled && !repeatable.contains(&name.as_str()) {
                return Err(Error::invalid(format!("`{name}` is given more than once")).into());
            }
        }
        Ok(Params { pairs })
    }

    /// The arguments of a tool, under the same rules; numbers and booleans stand for their text.
    pub(crate) fn of_arguments(
        arguments: &serde_json::Map<String, Value>,
        known: &[&str],
        repeatable: &[&str],
    ) -> Result<Params, Failure> {
        let mut pairs = Vec::new();
        for (name, value) in arguments {
            let texts = match value {
                Value::Array(values) if repeatable.contains(&name.as_str()) => {
                    values.iter().map(plain).collect::<Option<Vec<_>>>()
                }
                value => plain(value).map(|text| vec![text]),
            };
            let Some(texts) = texts else {
                return Err(Error::invalid(format!("`{}` is a plain value", beginning(name))).into());
            };
            pairs.extend(texts.into_iter().map(|text| (name.clone(), text)));
        }
        Params::of_pairs(pairs, known, repeatable)
    }

    /// One value; an empty one counts as absent.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// One value, owned.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// All values of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A count.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, Failure> {
        let read = |text: &str| text.parse().map_err(|_| wrong(name, text, "a whole number"));
        self.text(name).map(read).transpose()
    }

    /// A yes or no.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        let read = |text: &str| match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(wrong(name, text, "true or false")),
        };
        self.text(name).map(read).transpose()
    }

    /// A duration in nanoseconds.
    pub(crate) fn duration_ns(&self, name: &str) -> Result<Option<u64>, Failure> {
        let read = |text: &str| {
            view::parse_duration_ns(text).map_err(|error| Error::invalid(format!("`{name}`: {error}")).into())
        };
        self.text(name).map(read).transpose()
    }

    /// `from` and `to`.
    pub(crate) fn range(&self) -> Result<TimeRange, Failure> {
        self.range_of("from", "to")
    }

    /// A range whose ends have these names.
    pub(crate) fn range_of(&self, from: &str, to: &str) -> Result<TimeRange, Failure> {
        TimeRange::parse(self.text(from), self.text(to)).map_err(|error| Error::invalid(error.to_string()).into())
    }
}

/// A value that its parameter cannot have.
pub(crate) fn wrong(name: &str, text: &str, wanted: &str) -> Failure {
    Error::invalid(format!("`{name}` is {wanted}, not `{}`", beginning(text))).into()
}

fn beginning(text: &str) -> String {
    text.chars().take(60).collect()
}

// Null stands for absence, as an empty text does.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    // Scenario: query strings with encoded, repeated, unknown, doubled and odd values.
    // Guarantee: what is known is read, anything else is refused with 400.
    #[test]
    fn query_strings() {
        let read = |query: &str| {
            let uri: Uri = format!("/x?{query}").parse().unwrap();
            Params::read(&uri, &["a", "limit", "typed", "d"], &["attr"])
                .map_err(|failure| failure.into_response().status().as_u16())
        };
        let params = read("a=x%20y+z&attr=k%3Dv&attr=k2=v2&limit=5&typed=true&d=1.5s").ok().unwrap();
        assert_eq!(params.text("a"), Some("x y z"));
        assert_eq!(params.all("attr").collect::<Vec<_>>(), ["k=v", "k2=v2"]);
        assert_eq!(params.count("limit").ok(), Some(Some(5)));
        assert_eq!(params.flag("typed").ok(), Some(Some(true)));
        assert_eq!(params.duration_ns("d").ok(), Some(Some(1_500_000_000)));
        assert!(read("").is_ok());
        for bad in ["b=1", "a=1&a=2"] {
            assert_eq!(read(bad).err(), Some(400), "{bad}");
        }
        for bad in ["limit=-1", "limit=x", "limit=99999999999999999999999"] {
            assert!(read(bad).ok().unwrap().count("limit").is_err(), "{bad}");
        }
    }
}
