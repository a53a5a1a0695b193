//! Blocks: rows of one lane gathered from batches, in the form in which ClickHouse takes them (one
//! Native block per insert). Rows are copied column by column, in runs; nothing is parsed or built
//! per value. A finished block shares its memory with the bytes that are sent.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use model::text::push_length;
use model::{Batch, BatchId, ColumnRef, Table};

use crate::buffer::text;
use crate::column::Column;
use crate::index::Traces;

/// Rows of one lane on their way into an insert.
#[derive(Debug)]
pub struct Block {
    body: Arc<Body>,
    traces: Option<Traces>,
    times: Option<(i64, i64)>,
}

/// A finished block: rows and the id that each of them carries.
#[derive(Clone, Debug)]
pub struct NativeBlock {
    body: Arc<Body>,
    batch: BatchId,
}

/// A sealed block, ready to be inserted as often as needed.
#[derive(Clone, Debug)]
pub struct SealedBlock {
    /// Where it goes.
    pub table: Table,
    /// Id of the insert; it is also the deduplication token.
    pub batch: BatchId,
    /// Rows that were sealed (source rows in the trace index).
    pub rows: u32,
    /// The rows.
    pub native: NativeBlock,
}

/// The columns of a block.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) table: Table,
    pub(crate) rows: u32,
    pub(crate) columns: Vec<Column>,
}

impl Block {
    /// An empty block for `table`.
    pub fn new(table: Table) -> Block {
        let traces = (table == Table::TraceIndex).then(Traces::default);
        Block { body: Arc::new(Body::new(table)), traces, times: None }
    }

    /// The table it is for.
    pub fn table(&self) -> Table {
        self.body.table
    }

    /// Appends rows of the batch, by their number in the block's table (see [`crate::lanes`]).
    ///
    /// # Panics
    /// When the batch has no such rows, or after [`Block::finish`] while its result lives.
    pub fn append(&mut self, batch: &Batch, rows: Range<u32>) {
        if let Some(traces) = &mut self.traces {
            if let Some(times) = traces.append(batch, rows) {
                self.note(times);
            }
            return;
        }
        let at = rows.start as usize..rows.end as usize;
        let (columns, times) = columns_of(batch, self.body.table);
        if let (Some(min), Some(max)) = (times[at.clone()].iter().min(), times[at.clone()].iter().max()) {
            let range = (*min, *max);
            self.note(range);
        }
        match Arc::get_mut(&mut self.body) {
            Some(body) => body.append(&columns, at),
            None => panic!("a finished block takes no more rows"),
        }
    }

    /// Rows so far; in the trace index traces, not source rows.
    pub fn rows(&self) -> u32 {
        self.traces.as_ref().map_or(self.body.rows, Traces::rows)
    }

    /// Bytes so far, as they will be sent before compression.
    pub fn bytes(&self) -> usize {
        self.traces.as_ref().map_or_else(|| self.body.bytes(), Traces::bytes)
    }

    /// Bytes of memory held, spare room included.
    pub fn held_bytes(&self) -> usize {
        let columns: usize = self.body.columns.iter().map(Column::capacity).sum();
        columns + self.traces.as_ref().map_or(0, Traces::held_bytes)
    }

    /// Least and greatest event time, nanoseconds since the epoch; zeros when there are no rows.
    pub fn time_range_ns(&self) -> (i64, i64) {
        self.times.unwrap_or_default()
    }

    /// The block in Native form, each row carrying `batch`. Nothing is copied but the trace index.
    pub fn finish(&self, batch: BatchId) -> NativeBlock {
        let Some(traces) = &self.traces else { return NativeBlock { body: Arc::clone(&self.body), batch } };
        let mut body = Body::new(Table::TraceIndex);
        traces.fill(&mut body);
        NativeBlock { body: Arc::new(body), batch }
    }

    /// Row `row` as a JSON object, as dead letters keep it.
    pub fn row_as_json(&self, row: u32) -> String {
        self.finish(BatchId(0)).row_as_json(row)
    }

    fn note(&mut self, (min, max): (i64, i64)) {
        let (least, greatest) = self.times.unwrap_or((min, max));
        self.times = Some((least.min(min), greatest.max(max)));
    }
}

/// Pieces from this size on are sent from where they lie; smaller ones are gathered.
const SHARED_BYTES_MIN: usize = 32 << 10;
/// Size to which pieces are gathered and cut.
const CHUNK_BYTES: usize = 512 << 10;

impl NativeBlock {
    /// Rows in the block.
    pub fn rows(&self) -> u32 {
        self.body.rows
    }

    /// Bytes that are sent, before compression and without column names.
    pub fn bytes(&self) -> usize {
        self.body.bytes() + self.body.rows as usize * 16
    }

    /// Row `row` as a JSON object; columns without content are left out.
    pub fn row_as_json(&self, row: u32) -> String {
        crate::json::row(&self.body, row as usize)
    }

    /// The bytes of the whole Native block, in the chunks in which they are packed and sent.
    pub fn to_chunks(&self) -> Vec<Bytes> {
        self.chunks(&|_| true)
    }

    /// The bytes of the Native block, in chunks. `wanted` says which columns go in; the others are
    /// left out (a table may lack some).
    pub(crate) fn chunks(&self, wanted: &dyn Fn(usize) -> bool) -> Vec<Bytes> {
        let mut chunks = Chunks::default();
        let mut head = Vec::new();
        let def = self.body.table.def();
        let columns = (0..def.columns.len()).filter(|at| wanted(*at));
        push_length(&mut head, columns.clone().count());
        push_length(&mut head, self.body.rows as usize);
        chunks.copy(&head);
        for at in columns {
            head.clear();
            text(&mut head, def.columns[at].name.as_bytes());
            text(&mut head, def.columns[at].ty.as_bytes());
            chunks.copy(&head);
            if let Column::BatchId = &self.body.columns[at] {
                chunks.copy(&self.batch.0.to_le_bytes().repeat(self.body.rows as usize));
                continue;
            }
            let mut part = 0;
            self.body.emit(at, &mut |piece| {
                match piece {
                    Cow::Borrowed(bytes) if bytes.len() >= SHARED_BYTES_MIN => {
                        chunks.share(Bytes::from_owner(Part { body: Arc::clone(&self.body), column: at, part }));
                    }
                    other => chunks.copy(&other),
                }
                part += 1;
            });
        }
        chunks.finish()
    }
}

impl Body {
    fn new(table: Table) -> Body {
        Body { table, rows: 0, columns: Spare::take(table) }
    }

    pub(crate) fn append(&mut self, source: &[ColumnRef<'_>], rows: Range<usize>) {
        assert_eq!(source.len(), self.columns.len(), "a batch gives every column of its table");
        for (column, source) in self.columns.iter_mut().zip(source) {
            column.append(source, rows.clone());
        }
        self.rows += rows.len() as u32;
    }

    fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    fn emit<'a>(&'a self, column: usize, out: &mut dyn FnMut(Cow<'a, [u8]>)) {
        self.columns[column].emit_prefix(out);
        if self.rows > 0 {
            self.columns[column].emit(out);
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        Spare::give(self.table, std::mem::take(&mut self.columns));
    }
}

// A piece of a column that is sent from where it lies; it keeps the block alive.
struct Part {
    body: Arc<Body>,
    column: usize,
    part: usize,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        let (mut at, mut found): (usize, &[u8]) = (0, &[]);
        self.body.emit(self.column, &mut |piece| {
            if let (Cow::Borrowed(bytes), true) = (piece, at == self.part) {
                found = bytes;
            }
            at += 1;
        });
        found
    }
}

#[derive(Default)]
struct Chunks {
    done: Vec<Bytes>,
    gathered: BytesMut,
}

impl Chunks {
    fn copy(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn share(&mut self, mut bytes: Bytes) {
        self.flush();
        while bytes.len() > CHUNK_BYTES {
            self.done.push(bytes.split_to(CHUNK_BYTES));
        }
        self.done.push(bytes);
    }

    fn flush(&mut self) {
        if !self.gathered.is_empty() {
            self.done.push(self.gathered.split().freeze());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.flush();
        self.done
    }
}

/// Columns of blocks that are done, kept for the next ones: fresh memory costs more than the copy
/// into it. Bounded in bytes over all tables.
struct Spare {
    bytes: usize,
    columns: Vec<(Table, usize, Vec<Column>)>,
}

static SPARE: Mutex<Spare> = Mutex::new(Spare { bytes: 0, columns: Vec::new() });
const SPARE_BYTES_MAX: usize = 40 << 20;

impl Spare {
    fn take(table: Table) -> Vec<Column> {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        match spare.columns.iter().position(|(of, _, _)| *of == table) {
            Some(at) => {
                let (_, bytes, columns) = spare.columns.swap_remove(at);
                spare.bytes -= bytes;
                columns
            }
            None => Column::all(table.def()),
        }
    }

    fn keep(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max
            && let Some((_, bytes, _)) = self.columns.pop()
        {
            self.bytes -= bytes;
        }
    }

    fn give(table: Table, mut columns: Vec<Column>) {
        let bytes: usize = columns.iter().map(Column::capacity).sum();
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes == 0 || spare.bytes + bytes > SPARE_BYTES_MAX {
            return;
        }
        columns.iter_mut().for_each(Column::clear);
        spare.bytes += bytes;
        spare.columns.push((table, bytes, columns));
    }
}

/// Lets go of memory kept for blocks to come, down to `bytes_max`.
pub fn keep_spare(bytes_max: usize) {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner).keep(bytes_max);
}

// The columns of a batch's rows for a table, and their event times.
fn columns_of(batch: &Batch, table: Table) -> (Vec<ColumnRef<'_>>, &[i64]) {
    let context = batch.context();
    let metrics = &batch.metrics;
    match table {
        Table::Traces => (batch.spans.columns(context), &batch.spans.start),
        Table::Logs => (batch.logs.columns(context), &batch.logs.time),
        Table::Gauge => (metrics.gauge.columns(context), &metrics.gauge.points.time),
        Table::Sum => (metrics.sum.columns(context), &metrics.sum.points.time),
        Table::Histogram => (metrics.histogram.columns(context), &metrics.histogram.points.time),
        Table::ExponentialHistogram => (metrics.exponential.columns(context), &metrics.exponential.points.time),
        Table::Summary => (metrics.summary.columns(context), &metrics.summary.points.time),
        Table::Ledger => (batch.ledger.columns(context), &batch.ledger.time),
        Table::DeadLetters => (batch.dead_letters.columns(context), &batch.dead_letters.time),
        Table::TraceIndex => unreachable!("the trace index is gathered, not copied"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lanes, sample};
    use proptest::prelude::*;

    fn rows_of(block: &Block) -> Vec<String> {
        let native = block.finish(BatchId(7));
        (0..native.rows()).map(|row| native.row_as_json(row)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        // Scenario: random batches with every column filled, appended whole and in random runs, into
        // fresh and reused memory.
        // Guarantee: the rows are the same, in order, for every table.
        #[test]
        fn runs_do_not_matter(seed in any::<u64>(), rows in 1usize..60, cuts in prop::collection::vec(1u32..20, 1..8)) {
            let batch = sample::batch(seed, rows);
            for (key, ranges) in lanes(&batch) {
                let (mut whole, mut cut) = (Block::new(key.table), Block::new(key.table));
                let mut lengths = cuts.iter().cycle();
                for range in ranges {
                    whole.append(&batch, range.clone());
                    let mut start = range.start;
                    while start < range.end {
                        let end = range.end.min(start + lengths.next().copied().unwrap_or(1));
                        cut.append(&batch, start..end);
                        start = end;
                    }
                }
                prop_assert_eq!(rows_of(&whole), rows_of(&cut));
                prop_assert_eq!(whole.time_range_ns(), cut.time_range_ns());
                let once = whole.finish(BatchId(7)).chunks(&|_| true).concat();
                let again = whole.finish(BatchId(7)).chunks(&|_| true).concat();
                prop_assert!(once == again, "the same block gives the same bytes every time");
            }
        }
    }

    // Scenario: two spans and three logs of two traces, one log without a trace, in two batches.
    // Guarantee: one index row per trace, with bounds rounded outwards and counts added up.
    #[test]
    fn index_gathers_traces() {
        let day = 20_000 * 86_400_000_000_000i64;
        let mut first = sample::on_days(&[], &[]);
        sample::push_span(&mut first, [1; 16], day + 1_500_000_000, 2_000_000_001);
        sample::push_span(&mut first, [2; 16], day + 5_000_000_000, 0);
        let mut second = first.clone();
        second.spans = model::Spans::default();
        second.envelope.received_ns += 9;
        sample::push_log(&mut second, [0; 16], day);
        sample::push_log(&mut second, [1; 16], day + 900_000_000);
        sample::push_log(&mut second, [1; 16], day + 1_000_000_000);
        let mut block = Block::new(Table::TraceIndex);
        for batch in [&first, &second] {
            for (key, ranges) in lanes(batch).into_iter().filter(|(key, _)| key.table == Table::TraceIndex) {
                assert_eq!(key.partition_text(), "2024-09-30");
                ranges.into_iter().for_each(|rows| block.append(batch, rows));
            }
        }
        assert_eq!(block.rows(), 2);
        let second = 20_000 * 86_400;
        let row = block.row_as_json(0);
        for part in [
            format!("\"Start\":{second}"),
            format!("\"End\":{}", second + 4),
            "\"Spans\":1".into(),
            "\"Logs\":2".into(),
        ] {
            assert!(row.contains(&part), "{row} lacks {part}");
        }
        assert!(block.row_as_json(1).contains("\"Spans\":1"), "{}", block.row_as_json(1));
        assert_eq!(block.time_range_ns(), (day + 900_000_000, day + 5_000_000_000));
    }

    // Scenario: a block without rows.
    // Guarantee: it is finished without trouble and says that it is empty.
    #[test]
    fn empty_blocks() {
        for table in Table::ALL {
            let block = Block::new(table);
            assert_eq!((block.rows(), block.time_range_ns()), (0, (0, 0)));
            assert!(!block.finish(BatchId(1)).chunks(&|_| true).is_empty());
        }
    }
}
