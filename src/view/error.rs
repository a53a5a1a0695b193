//! Why there is no answer, in the user's words.

use store::questions::AskError;
use store::{LookupError, Unavailable};

use crate::cursor::CursorError;
use crate::query::QueryError;
use crate::time::TimeError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The question cannot be understood.
    #[error("{0}")]
    Invalid(String),
    /// What was asked for does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The store is away.
    #[error("{0}")]
    Unavailable(String),
    /// The question took too long.
    #[error("{0}")]
    Deadline(String),
    /// The question is too large for the limits.
    #[error("{0}")]
    TooMuch(String),
    /// Our own mistake.
    #[error("{0}")]
    Broken(String),
}

impl ViewError {
    /// The same error, for one more of those who waited for the same answer.
    pub(crate) fn again(&self) -> ViewError {
        let text = self.to_string();
        match self {
            ViewError::Invalid(_) => ViewError::Invalid(text),
            ViewError::NotFound(_) => ViewError::NotFound(text),
            ViewError::Unavailable(_) => ViewError::Unavailable(text),
            ViewError::Deadline(_) => ViewError::Deadline(text),
            ViewError::TooMuch(_) => ViewError::TooMuch(text),
            ViewError::Broken(_) => ViewError::Broken(text),
        }
    }
}

impl From<AskError> for ViewError {
    fn from(error: AskError) -> ViewError {
        let text = error.to_string();
        match error {
            AskError::Unavailable(_) | AskError::NoSchema(_) => ViewError::Unavailable(text),
            AskError::Deadline => ViewError::Deadline(text),
            AskError::TooMuch => ViewError::TooMuch(text),
            AskError::Broken(_) => ViewError::Broken(text),
        }
    }
}

impl From<Unavailable> for ViewError {
    fn from(error: Unavailable) -> ViewError {
        ViewError::Unavailable(error.to_string())
    }
}

impl From<LookupError> for ViewError {
    fn from(error: LookupError) -> ViewError {
        ViewError::Unavailable(error.to_string())
    }
}

impl From<TimeError> for ViewError {
    fn from(error: TimeError) -> ViewError {
        ViewError::Invalid(error.to_string())
    }
}

impl From<QueryError> for ViewError {
    fn from(error: QueryError) -> ViewError {
        ViewError::Invalid(error.to_string())
    }
}

impl From<CursorError> for ViewError {
    fn from(error: CursorError) -> ViewError {
        ViewError::Invalid(error.to_string())
    }
}
