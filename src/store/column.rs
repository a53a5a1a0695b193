//! One column of a block: how rows come in from a [`ColumnRef`] of a batch, and the bytes that
//! ClickHouse's Native format wants of them.

use std::borrow::Cow;
use std::ops::Range;

use model::table::{ROW_VERSION, ROW_VERSION_VOUCHED};
use model::text::StrColumn;
use model::{ColumnRef, MapColumn, TableDef, promoted};

use crate::buffer::{hex_texts, put, repeat, repeat_tail, runs, text};
use crate::dictionary::Dictionary;
use crate::shape::{Number, Shape};

/// A column of a block, in the form it is sent in.
#[derive(Debug)]
pub(crate) enum Column {
    /// Numbers.
    Fixed { width: usize, number: Number, bytes: Vec<u8> },
    /// Texts.
    Text(Vec<u8>),
    /// Texts by dictionary.
    Dict(Dictionary),
    /// Maps: row ends, keys, values.
    Map { ends: Ends, keys: Dictionary, values: Values },
    /// Lists: row ends, elements.
    List { ends: Ends, inner: Box<Column> },
    /// The id of the block, the same in every row and written at the end.
    BatchId,
}

/// The values of a map column.
#[derive(Debug)]
pub(crate) enum Values {
    /// Texts.
    Text(Vec<u8>),
    /// Texts by dictionary.
    Dict(Dictionary),
}

/// For each row the number of elements up to and including it, as little-endian 64-bit numbers.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    bytes: Vec<u8>,
    total: u64,
}

impl Column {
    /// Empty columns for every column of a table.
    pub(crate) fn all(def: &TableDef) -> Vec<Column> {
        let column = |name, ty| if name == "BatchId" { Column::BatchId } else { Column::new(&Shape::of(ty)) };
        def.columns.iter().map(|def| column(def.name, def.ty)).collect()
    }

    fn new(shape: &Shape) -> Column {
        match shape {
            Shape::Fixed(width, number) => Column::Fixed { width: *width, number: *number, bytes: Vec::new() },
            Shape::Text => Column::Text(Vec::new()),
            Shape::Dict => Column::Dict(Dictionary::default()),
            Shape::Map => Column::map(Values::Text(Vec::new())),
            Shape::DictMap => Column::map(Values::Dict(Dictionary::default())),
            Shape::List(inner) => Column::List { ends: Ends::default(), inner: Box::new(Column::new(inner)) },
        }
    }

    fn map(values: Values) -> Column {
        Column::Map { ends: Ends::default(), keys: Dictionary::default(), values }
    }

    /// Forgets all rows; memory is kept.
    pub(crate) fn clear(&mut self) {
        match self {
            Column::Fixed { bytes, .. } | Column::Text(bytes) => bytes.clear(),
            Column::Dict(dict) => dict.clear(),
            Column::Map { ends, keys, values } => {
                ends.clear();
                keys.clear();
                values.clear();
            }
            Column::List { ends, inner } => {
                ends.clear();
                inner.clear();
            }
            Column::BatchId => {}
        }
    }

    /// Bytes of the rows, as sent.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Column::Fixed { bytes, .. } | Column::Text(bytes) => bytes.len(),
            Column::Dict(dict) => dict.bytes(),
            Column::Map { ends, keys, values } => ends.bytes.len() + keys.bytes() + values.bytes(),
            Column::List { ends, inner } => ends.bytes.len() + inner.bytes(),
            Column::BatchId => 0,
        }
    }

    /// Bytes of memory held.
    pub(crate) fn capacity(&self) -> usize {
        match self {
            Column::Fixed { bytes, .. } | Column::Text(bytes) => bytes.capacity(),
            Column::Dict(dict) => dict.capacity(),
            Column::Map { ends, keys, values } => ends.bytes.capacity() + keys.capacity() + values.capacity(),
            Column::List { ends, inner } => ends.bytes.capacity() + inner.capacity(),
            Column::BatchId => 0,
        }
    }

    /// Appends rows `rows` of a batch's column.
    ///
    /// # Panics
    /// When the batch's column cannot have come from this column's type: the column table is wrong.
    pub(crate) fn append(&mut self, source: &ColumnRef<'_>, rows: Range<usize>) {
        match self {
            Column::Fixed { width, bytes, .. } => append_fixed(bytes, *width, source, rows),
            Column::Text(bytes) => append_text(bytes, source, rows),
            Column::Dict(dict) => append_dict(dict, source, rows),
            Column::Map { ends, keys, values } => append_map(ends, keys, values, source, rows),
            Column::List { ends, inner } => match source {
                ColumnRef::List(source_ends, elements) => {
                    let taken = ends.rows(source_ends, rows);
                    if !taken.is_empty() {
                        inner.append(elements, taken);
                    }
                }
                other => misfit("a list", other),
            },
            Column::BatchId => assert!(matches!(source, ColumnRef::BatchId), "only the block knows its id"),
        }
    }

    /// What precedes the data: the version of each dictionary inside.
    pub(crate) fn emit_prefix<'a>(&self, out: &mut dyn FnMut(Cow<'a, [u8]>)) {
        match self {
            Column::Dict(_) | Column::Map { values: Values::Text(_), .. } => {
                out(Cow::Owned(Dictionary::prefix().to_vec()));
            }
            // The keys' and the values'.
            Column::Map { values: Values::Dict(_), .. } => out(Cow::Owned(Dictionary::prefix().repeat(2))),
            Column::List { inner, .. } => inner.emit_prefix(out),
            _ => {}
        }
    }

    /// The data.
    pub(crate) fn emit<'a>(&'a self, out: &mut dyn FnMut(Cow<'a, [u8]>)) {
        match self {
            Column::Fixed { bytes, .. } | Column::Text(bytes) => out(Cow::Borrowed(bytes)),
            Column::Dict(dict) => dict.emit(out),
            Column::Map { ends, keys, values } => {
                out(Cow::Borrowed(&ends.bytes));
                keys.emit(out);
                values.emit(out);
            }
            Column::List { ends, inner } => {
                out(Cow::Borrowed(&ends.bytes));
                inner.emit(out);
            }
            Column::BatchId => {}
        }
    }
}

impl Values {
    fn clear(&mut self) {
        match self {
            Values::Text(bytes) => bytes.clear(),
            Values::Dict(dict) => dict.clear(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Values::Text(bytes) => bytes.len(),
            Values::Dict(dict) => dict.bytes(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Values::Text(bytes) => bytes.capacity(),
            Values::Dict(dict) => dict.capacity(),
        }
    }

    fn emit<'a>(&'a self, out: &mut dyn FnMut(Cow<'a, [u8]>)) {
        match self {
            Values::Text(bytes) => out(Cow::Borrowed(bytes)),
            Values::Dict(dict) => dict.emit(out),
        }
    }

    // Appends the values of pairs of a batch's map.
    fn pairs(&mut self, source: &StrColumn, pairs: Range<usize>, count: usize) {
        match self {
            Values::Text(bytes) => repeat(bytes, source.encoded(pairs), count),
            Values::Dict(dict) => dict.texts(source, pairs, count),
        }
    }
}

impl Ends {
    fn clear(&mut self) {
        self.bytes.clear();
        self.total = 0;
    }

    /// The elements of `row`.
    pub(crate) fn elements(&self, row: usize) -> Range<usize> {
        let (ends, _) = self.bytes.as_chunks::<8>();
        let start = if row == 0 { 0 } else { u64::from_le_bytes(ends[row - 1]) };
        start as usize..u64::from_le_bytes(ends[row]) as usize
    }

    // Appends rows of a batch's list; gives the elements they have there.
    fn rows(&mut self, source: &[u32], rows: Range<usize>) -> Range<usize> {
        let start = if rows.start == 0 { 0 } else { source[rows.start - 1] };
        let source = &source[rows];
        let end = source.last().copied().unwrap_or(start);
        let base = self.total;
        put(&mut self.bytes, source.iter().map(|end| (base + u64::from(end - start)).to_le_bytes()));
        self.total += u64::from(end - start);
        start as usize..end as usize
    }

    // Appends `rows` rows of `elements` elements each.
    fn same(&mut self, elements: usize, rows: usize) {
        let base = self.total;
        put(&mut self.bytes, (1..rows + 1).map(|row| (base + (row * elements) as u64).to_le_bytes()));
        self.total += (rows * elements) as u64;
    }
}

fn append_fixed(out: &mut Vec<u8>, width: usize, source: &ColumnRef<'_>, rows: Range<usize>) {
    let start = out.len();
    let count = rows.len();
    match source {
        ColumnRef::SameI64(value) => repeat(out, &value.to_le_bytes()[..width], count),
        ColumnRef::SameU8(value) => out.resize(start + count, *value),
        ColumnRef::SpanVersions(spans, resources) => promoted::vouches(spans, resources, rows, |is_vouched| {
            out.push(if is_vouched { ROW_VERSION_VOUCHED } else { ROW_VERSION });
        }),
        ColumnRef::U8(values) => out.extend_from_slice(&values[rows]),
        ColumnRef::U16(values) => put(out, values[rows].iter().map(|value| value.to_le_bytes())),
        ColumnRef::U32(values) => put(out, values[rows].iter().map(|value| value.to_le_bytes())),
        ColumnRef::U64(values) => put(out, values[rows].iter().map(|value| value.to_le_bytes())),
        ColumnRef::I32(values) => put(out, values[rows].iter().map(|value| value.to_le_bytes())),
        ColumnRef::I64(values) => put(out, values[rows].iter().map(|value| value.to_le_bytes())),
        ColumnRef::F32(values) => put(out, values[rows].iter().map(|value| value.to_le_bytes())),
        ColumnRef::F64(values) => put(out, values[rows].iter().map(|value| value.to_le_bytes())),
        ColumnRef::LowByte(values) => put(out, values[rows].iter().map(|value| [*value as u8])),
        ColumnRef::U32Via(via, values) => put(out, via[rows].iter().map(|at| values[*at as usize].to_le_bytes())),
        ColumnRef::I32Via(via, values) => put(out, via[rows].iter().map(|at| values[*at as usize].to_le_bytes())),
        ColumnRef::U8Via(via, values) => put(out, via[rows].iter().map(|at| [values[*at as usize]])),
        other => misfit("a number", other),
    }
    assert_eq!(out.len() - start, count * width, "a number column has the width of its type");
}

fn append_text(out: &mut Vec<u8>, source: &ColumnRef<'_>, rows: Range<usize>) {
    match source {
        ColumnRef::Str(values) => out.extend_from_slice(values.encoded(rows)),
        ColumnRef::TraceIds(ids) => hex_texts(out, &ids[rows]),
        ColumnRef::SpanIds(ids) => hex_texts(out, &ids[rows]),
        ColumnRef::SameText(value) => same_text(out, value.as_bytes(), rows.len()),
        ColumnRef::Dict(values) => {
            for (at, count) in runs(&values.index()[rows]) {
                same_text(out, values.dict().get(at), count);
            }
        }
        ColumnRef::StrVia(via, values) => {
            for (at, count) in runs(&via[rows]) {
                repeat(out, values.encoded(at as usize..at as usize + 1), count);
            }
        }
        ColumnRef::DictVia(via, values) => {
            for (at, count) in runs(&via[rows]) {
                same_text(out, values.get(at as usize), count);
            }
        }
        other => misfit("a text", other),
    }
}

fn same_text(out: &mut Vec<u8>, value: &[u8], count: usize) {
    let start = out.len();
    text(out, value);
    repeat_tail(out, start, count);
}

fn append_dict(dict: &mut Dictionary, source: &ColumnRef<'_>, rows: Range<usize>) {
    match source {
        ColumnRef::SameText(value) => dict.same(value.as_bytes(), rows.len()),
        ColumnRef::Names(values, names) => dict.names(&values[rows], names),
        ColumnRef::Dict(values) => dict.rows_of(values, rows),
        ColumnRef::DictVia(via, values) => dict.rows_via(&via[rows], values),
        ColumnRef::KeysVia(via, map) => {
            let mut keys = Vec::new();
            for (at, count) in runs(&via[rows]) {
                keys.clear();
                for (key, _) in map.row(at as usize) {
                    keys.extend_from_slice(if keys.is_empty() { b"," } else { b"" });
                    keys.extend_from_slice(key);
                    keys.push(b',');
                }
                dict.same(&keys, count);
            }
        }
        other => misfit("a text with few values", other),
    }
}

fn append_map(ends: &mut Ends, keys: &mut Dictionary, values: &mut Values, source: &ColumnRef<'_>, rows: Range<usize>) {
    match source {
        ColumnRef::Map(map) => {
            let pairs = ends.rows(&map.ends, rows);
            if !pairs.is_empty() {
                keys.rows_of(&map.keys, pairs.clone());
                values.pairs(&map.values, pairs, 1);
            }
        }
        ColumnRef::MapVia(via, map) => {
            let via = &via[rows];
            let same = map_runs(via, map);
            for (pairs, count) in &same {
                ends.same(pairs.len(), *count);
                values.pairs(&map.values, pairs.clone(), *count);
            }
            keys.keys_via(&same, &map.keys, via.len());
        }
        other => misfit("a map", other),
    }
}

fn map_runs(via: &[u32], map: &MapColumn) -> Vec<(Range<usize>, usize)> {
    runs(via).map(|(at, count)| (map.pairs_of(at as usize), count)).collect()
}

#[cold]
fn misfit(wanted: &str, source: &ColumnRef<'_>) {
    panic!("the column table gives {:?} where the type wants {wanted}", std::mem::discriminant(source));
}
