//! The nouns of Hypocenter: ids, times, attribute values, columns, the column table and the
//! [`Batch`]. Everything else is written in these words.
//!
//! This room knows nobody: no protocol, no SQL, no serialisation framework, no clock, no I/O.
//! Wire formats become these columns in `wire`; `store` turns them into ClickHouse blocks.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod batch;
pub mod column;
pub mod evidence;
pub mod id;
pub mod kind;
pub mod limits;
pub mod logs;
pub mod mark;
pub mod metrics;
pub mod promoted;
pub mod rows;
pub mod shared;
pub mod spans;
pub mod table;
pub mod text;
pub mod time;
pub mod value;

pub use batch::{Account, Batch, Decoded, Envelope, Outcome, Protocol, Reason, Refusal, Signal};
pub use column::{ColumnRef, MapColumn};
pub use id::{BatchId, SpanId, TraceId};
pub use limits::Limits;
pub use logs::Logs;
pub use metrics::Metrics;
pub use shared::{Resources, Scopes};
pub use spans::Spans;
pub use table::{ColumnDef, Table, TableDef};
pub use text::{Dict, DictColumn, StrColumn};
pub use value::Value;
