//! What can go wrong, one sentence each. Every refusal here is retryable for the sender except
//! [`AppendError::TooLarge`]; the mapping to protocol codes is made elsewhere. Design section 2.

use std::path::PathBuf;
use std::sync::Arc;

/// Why a record was not taken. A refused frame never reaches the sink and does not come back
/// after a restart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The frames that wait to be stored fill the budget. Retryable.
    #[error("the journal's disk budget of {budget_bytes} bytes is filled by data that is not stored yet")]
    Full {
        /// The configured budget in bytes.
        budget_bytes: u64,
    },
    /// The file system is nearly full. Retryable.
    #[error("the journal's file system has only {free_bytes} bytes left")]
    DiskLow {
        /// Free bytes when last looked at.
        free_bytes: u64,
    },
    /// A write or a flush failed. Retryable.
    #[error("the journal could not be written: {0}")]
    Io(Arc<str>),
    /// The journal was closed, or its writer ended. Retryable at another process.
    #[error("the journal is closed")]
    Closed,
    /// The body is longer than a frame may be. Not retryable.
    #[error("a frame of {bytes} bytes is larger than the {max_bytes} bytes that the journal takes")]
    TooLarge {
        /// Size of what was offered.
        bytes: u64,
        /// The largest size taken.
        max_bytes: u64,
    },
    /// The caller broke a rule of this room: a defect, not an event.
    #[error("the journal was asked for something impossible: {0}")]
    Misuse(&'static str),
}

impl AppendError {
    /// The short word under which the refusal is counted.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Full { .. } => Reason::Full,
            Self::DiskLow { .. } => Reason::DiskLow,
            Self::Io(_) => Reason::Io,
            Self::Closed => Reason::Closed,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Misuse(_) => Reason::Misuse,
        }
    }

    pub(crate) fn from_io(error: &std::io::Error, free_bytes: u64) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Self::DiskLow { free_bytes },
            _ => Self::Io(error.to_string().into()),
        }
    }
}

/// The closed set of refusal reasons, as metric label.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, prometheus_client::encoding::EncodeLabelValue)]
pub enum Reason {
    /// Budget.
    Full,
    /// File system nearly full.
    DiskLow,
    /// Write or flush failed.
    Io,
    /// Closed.
    Closed,
    /// Frame too large.
    TooLarge,
    /// Caller's defect.
    Misuse,
}

/// Why a journal could not be opened. Damage inside the log is never such a reason; a newer version's
/// log is, and then nothing in the directory was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or another journal of this process) holds the directory.
    #[error("the journal directory {} is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// A newer version wrote a segment that this one cannot read.
    #[error(
        "the journal segment {} was written by a newer version ({what} {found}, this one reads up to {known}) and may hold data that is not stored yet; start the newer version again",
        path.display()
    )]
    Newer {
        /// The first such segment.
        path: PathBuf,
        /// What is newer.
        what: &'static str,
        /// Its number there.
        found: u32,
        /// The newest number that is known here.
        known: u32,
    },
    /// The operating system refused something that is needed to start.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done, a phrase before the path.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
