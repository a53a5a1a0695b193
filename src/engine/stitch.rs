//! One answer out of many pieces. The engine formats every block that it streams as a document of its
//! own: a header per block, a JSON object per block (measured: 3,000 rows of a filtered table came as
//! 19 documents). Formats without header may simply follow each other; of those with one, the later
//! headers are cut off; the others are asked for whole, within a bound.
//!
//! Knows formats by name; nothing of statements or connections. Design section 4.

/// How an answer of a format is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Pieces follow each other as they are.
    Pieces,
    /// Every piece begins with the same header, which is wanted once.
    Header(Header),
    /// The format is one document: it cannot be streamed.
    Whole,
}

/// The form of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// RowBinary: a count, then so many names, then (lists = 2) so many types, all with lengths.
    Binary {
        /// Names, or names and types.
        lists: u8,
    },
    /// Lines, in which a line end inside double quotes (CSV) does not count.
    Lines {
        /// Names, or names and types.
        lines: u8,
        /// Whether double quotes may hold line ends.
        quoted: bool,
    },
}

/// Bytes of a result (as ClickHouse counts them, before formatting) that is asked for whole. Such
/// results lie in memory twice, outside the engine's own limits.
pub(crate) const WHOLE_BYTES_MAX: u64 = 64 << 20;

impl Way {
    /// The way of a format; names are case-insensitive, as ClickHouse's are. `array_of_rows` is the
    /// setting that makes one document of JSONEachRow.
    pub(crate) fn of(format: &str, array_of_rows: bool) -> Way {
        let name = format.to_ascii_lowercase();
        let (plain, extra) = match name.strip_suffix("withnamesandtypes") {
            Some(plain) => (plain, 2),
            None => name.strip_suffix("withnames").map_or((name.as_str(), 0), |plain| (plain, 1)),
        };
        match (plain, extra) {
            ("jsoneachrow" | "jsonlines" | "ndjson" | "jsonstringseachrow", 0) if array_of_rows => Way::Whole,
            ("rowbinary" | "tabseparated" | "tsv" | "tabseparatedraw" | "tsvraw" | "raw" | "csv" | "tskv", 0) => {
                Way::Pieces
            }
            ("native" | "null" | "rawblob" | "msgpack" | "bsoneachrow" | "lineasstring", 0) => Way::Pieces,
            ("jsoneachrow" | "jsonlines" | "ndjson" | "jsonstringseachrow", 0) => Way::Pieces,
            ("jsoncompacteachrow" | "jsoncompactstringseachrow", 0) => Way::Pieces,
            ("rowbinary", lists) => Way::Header(Header::Binary { lists }),
            ("csv", lines) => Way::Header(Header::Lines { lines, quoted: true }),
            ("tabseparated" | "tsv" | "jsoncompacteachrow" | "jsoncompactstringseachrow", lines) => {
                Way::Header(Header::Lines { lines, quoted: false })
            }
            _ => Way::Whole,
        }
    }
}

impl Header {
    /// Length in bytes of the header at the front of a piece; `None` when there is no whole one.
    fn length(self, piece: &[u8]) -> Option<usize> {
        match self {
            Header::Binary { lists } => {
                let mut at = 0;
                let columns = length_prefix(piece, &mut at)?;
                for _ in 0..columns.checked_mul(usize::from(lists))? {
                    let text = length_prefix(piece, &mut at)?;
                    at = at.checked_add(text).filter(|at| *at <= piece.len())?;
                }
                Some(at)
            }
            Header::Lines { lines, quoted } => {
                let (mut left, mut inside) = (lines, false);
                for (at, byte) in piece.iter().enumerate() {
                    match byte {
                        b'"' if quoted => inside = !inside,
                        b'\n' if !inside => {
                            left -= 1;
                            if left == 0 {
                                return Some(at + 1);
                            }
                        }
                        _ => {}
                    }
                }
                None
            }
        }
    }
}

/// Cuts the later headers off.
pub(crate) struct Stitch {
    way: Way,
    first: Option<Vec<u8>>,
}

impl Stitch {
    /// Before the first piece.
    pub(crate) fn new(way: Way) -> Stitch {
        Stitch { way, first: None }
    }

    /// What of the next piece belongs into the answer; `None` when it lacks the header that the first
    /// piece had, so that nobody can say where its rows begin.
    pub(crate) fn cut<'p>(&mut self, piece: &'p [u8]) -> Option<&'p [u8]> {
        let Way::Header(header) = self.way else { return Some(piece) };
        match &self.first {
            None => {
                self.first = Some(piece[..header.length(piece)?].to_vec());
                Some(piece)
            }
            Some(first) => piece.strip_prefix(first.as_slice()),
        }
    }
}

fn length_prefix(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let (mut value, mut shift) = (0usize, 0);
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: pieces with and without headers, a header with a quoted line end, an empty result, a
    // data row that looks like the header, a piece that lacks its header.
    // Guarantee: the header comes once, no data is cut, what cannot be joined is told.
    #[test]
    fn headers_come_once() {
        let check = |format: &str, pieces: &[&[u8]], expected: Option<&[u8]>| {
            let mut stitch = Stitch::new(Way::of(format, false));
            let whole: Option<Vec<u8>> =
                pieces.iter().map(|piece| stitch.cut(piece)).collect::<Option<Vec<_>>>().map(|cut| cut.concat());
            assert_eq!(whole.as_deref(), expected, "{format}");
        };
        check("TSV", &[b"1\n", b"2\n"], Some(b"1\n2\n"));
        check("TSVWithNames", &[b"n\n1\n", b"n\n2\n", b"n\nn\n"], Some(b"n\n1\n2\nn\n"));
        check("TabSeparatedWithNamesAndTypes", &[b"n\nU\n", b"n\nU\n1\n"], Some(b"n\nU\n1\n"));
        check("CSVWithNames", &[b"\"a\nb\"\n1\n", b"\"a\nb\"\n2\n"], Some(b"\"a\nb\"\n1\n2\n"));
        check(
            "RowBinaryWithNamesAndTypes",
            &[b"\x01\x01n\x05UInt8\x01", b"\x01\x01n\x05UInt8\x02"],
            Some(b"\x01\x01n\x05UInt8\x01\x02"),
        );
        check("rowbinarywithnames", &[b"\x01\x01n\x07", b"\x01\x01n\x08"], Some(b"\x01\x01n\x07\x08"));
        check("TSVWithNames", &[b"n\n1\n", b"2\n"], None);
    }

    // Scenario: the names of formats.
    // Guarantee: only formats known to be safe are streamed.
    #[test]
    fn ways() {
        for format in [
            "JSON",
            "JSONCompact",
            "Pretty",
            "Values",
            "Parquet",
            "ArrowStream",
            "XML",
            "NoSuchFormat",
            "Vertical",
            "TSVRawWithNames",
        ] {
            assert_eq!(Way::of(format, false), Way::Whole, "{format}");
        }
        for format in ["Native", "RowBinary", "jsoneachrow", "TSVRaw", "CSV"] {
            assert_eq!(Way::of(format, false), Way::Pieces, "{format}");
        }
        assert_eq!(Way::of("JSONEachRow", true), Way::Whole);
    }
}
