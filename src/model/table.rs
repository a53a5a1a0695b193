//! The column table: name, type, codec and meaning of every stored column, once, beside the
//! expression that fetches its values from a batch. The block encoder, the insert list, the schema
//! test and `docs/schema.md` derive from it.

use crate::batch::Envelope;
use crate::shared::{Resources, Scopes};

/// One stored column.
#[derive(Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// Name in ClickHouse; the exporter's name where the exporter has it.
    pub name: &'static str,
    /// ClickHouse type.
    pub ty: &'static str,
    /// ClickHouse codec list, as inside `CODEC(…)`.
    pub codec: &'static str,
    /// What it holds, with unit.
    pub about: &'static str,
}

/// One table: its name and columns in insert order.
#[derive(Debug, PartialEq, Eq)]
pub struct TableDef {
    /// Name in the database.
    pub name: &'static str,
    /// Columns in insert order.
    pub columns: &'static [ColumnDef],
}

/// The tables that are filled from journalled frames. The number is stored in seals: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Table {
    /// Spans.
    Traces = 1,
    /// Log records.
    Logs = 2,
    /// Trace id → time range and counts.
    TraceIndex = 3,
    /// Gauge points.
    Gauge = 4,
    /// Sum points.
    Sum = 5,
    /// Histogram points.
    Histogram = 6,
    /// Exponential histogram points.
    ExponentialHistogram = 7,
    /// Summary points.
    Summary = 8,
    /// The loss ledger.
    Ledger = 9,
    /// Rows that ClickHouse refused for good.
    DeadLetters = 10,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 10] = [
        Table::Traces,
        Table::Logs,
        Table::TraceIndex,
        Table::Gauge,
        Table::Sum,
        Table::Histogram,
        Table::ExponentialHistogram,
        Table::Summary,
        Table::Ledger,
        Table::DeadLetters,
    ];

    /// The table with this number.
    pub fn from_number(number: u8) -> Option<Table> {
        Table::ALL.into_iter().find(|table| *table as u8 == number)
    }

    /// Its columns.
    pub fn def(self) -> &'static TableDef {
        match self {
            Table::Traces => &crate::spans::TRACES,
            Table::Logs => &crate::logs::LOGS,
            Table::TraceIndex => &crate::rows::TRACE_INDEX,
            Table::Gauge => &crate::metrics::GAUGE,
            Table::Sum => &crate::metrics::SUM,
            Table::Histogram => &crate::metrics::HISTOGRAM,
            Table::ExponentialHistogram => &crate::metrics::EXPONENTIAL_HISTOGRAM,
            Table::Summary => &crate::metrics::SUMMARY,
            Table::Ledger => &crate::rows::LEDGER,
            Table::DeadLetters => &crate::rows::DEAD_LETTERS,
        }
    }
}

/// What the rows of one batch share, as the column expressions see it.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Tenant, receive time, sender.
    pub envelope: &'a Envelope,
    /// Resources by number.
    pub resources: &'a Resources,
    /// Scopes by number.
    pub scopes: &'a Scopes,
}

/// Version of the meaning of a row's columns, stored in `RowVersion`.
pub const ROW_VERSION: u8 = 1;
/// The version of spans whose promoted columns say all that their maps say ([`crate::promoted`]).
pub const ROW_VERSION_VOUCHED: u8 = 2;

macro_rules! columns {
    (
        $(#[$doc:meta])*
        static $NAME:ident = $table:literal for $Rows:ty, |$rows:ident, $ctx:ident| {
            $( $name:literal, $ty:literal, $codec:literal, $about:literal => $value:expr; )*
        }
    ) => {
        $(#[$doc])*
        pub static $NAME: $crate::table::TableDef = $crate::table::TableDef {
            name: $table,
            columns: &[$( $crate::table::ColumnDef { name: $name, ty: $ty, codec: $codec, about: $about } ),*],
        };
        impl $Rows {
            /// The columns in the order of the table's definition.
            pub fn columns<'a>(&'a self, context: $crate::table::Context<'a>) -> Vec<$crate::column::ColumnRef<'a>> {
                let ($rows, $ctx) = (self, context);
                let _ = $ctx;
                vec![$( $value ),*]
            }
        }
    };
}
pub(crate) use columns;

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: the column table of every table.
    // Guarantee: numbers and names are unique, every column says what it holds, every table can be told by tenant and batch.
    #[test]
    fn tables_are_well_formed() {
        for table in Table::ALL {
            assert_eq!(Table::from_number(table as u8), Some(table));
            let def = table.def();
            let mut names: Vec<_> = def.columns.iter().map(|column| column.name).collect();
            for wanted in ["Tenant", "ReceivedAt", "BatchId", "RowVersion"] {
                assert!(names.contains(&wanted), "{} lacks {wanted}", def.name);
            }
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), def.columns.len(), "{} repeats a column", def.name);
            assert!(def.columns.iter().all(|column| !column.about.is_empty()));
        }
    }
}
