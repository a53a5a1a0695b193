//! Compression as ClickHouse's HTTP interface speaks it: `Content-Encoding` streams in both
//! directions, and its own checksummed LZ4/ZSTD blocks (`compress=1`, `decompress=1`).
//!
//! Every decoder bounds what a single block may claim, so that a few bytes cannot ask for
//! gigabytes. Knows bytes only (design section 4).

use std::io::{self, Read, Write};

use bytes::Bytes;

/// A value of `Content-Encoding` or `Accept-Encoding` that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As is.
    Identity,
    /// gzip.
    Gzip,
    /// zlib.
    Deflate,
    /// Zstandard frames.
    Zstd,
    /// LZ4 frames.
    Lz4,
}

impl Encoding {
    /// The encoding of a `Content-Encoding` header.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            "lz4" => Some(Self::Lz4),
            _ => None,
        }
    }

    /// The one to answer with, given an `Accept-Encoding` header: lz4 is cheapest, then zstd.
    pub(crate) fn accepted(header: &str) -> Self {
        let offers = |name: &str| {
            header.split(',').any(|offer| {
                let mut parts = offer.split(';');
                let matches = parts.next().is_some_and(|offer| offer.trim().eq_ignore_ascii_case(name));
                matches && !parts.any(|part| part.trim() == "q=0")
            })
        };
        [Self::Lz4, Self::Zstd, Self::Gzip]
            .into_iter()
            .find(|encoding| encoding.name().is_some_and(offers))
            .unwrap_or(Self::Identity)
    }

    /// The header value; `None` for identity.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
            Self::Zstd => Some("zstd"),
            Self::Lz4 => Some("lz4"),
        }
    }
}

/// Compresses an answer; every call returns all bytes a client needs to see what was given.
pub(crate) enum Encoder {
    /// Passes through.
    Identity,
    /// ClickHouse's LZ4 blocks.
    Blocks,
    /// gzip.
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    /// Zstandard.
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    /// LZ4 frames.
    Lz4(lz4_flex::frame::FrameEncoder<Vec<u8>>),
}

impl Encoder {
    /// `blocks`: `compress=1` was asked for, which wins.
    pub(crate) fn new(encoding: Encoding, blocks: bool) -> io::Result<Self> {
        if blocks {
            return Ok(Self::Blocks);
        }
        Ok(match encoding {
            Encoding::Identity | Encoding::Deflate => Self::Identity,
            Encoding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(3))),
            Encoding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
            Encoding::Lz4 => Self::Lz4(lz4_flex::frame::FrameEncoder::new(Vec::new())),
        })
    }

    /// Encodes one piece.
    pub(crate) fn encode(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        Ok(match self {
            Self::Identity => Bytes::copy_from_slice(piece),
            Self::Blocks => {
                let mut out = Vec::new();
                for part in piece.chunks(BLOCK_BYTES) {
                    write_block(part, &mut out);
                }
                out.into()
            }
            Self::Gzip(encoder) => {
                encoder.write_all(piece)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut()).into()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut()).into()
            }
            Self::Lz4(encoder) => {
                encoder.write_all(piece)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut()).into()
            }
        })
    }

    /// What ends the stream.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Identity | Self::Blocks => Bytes::new(),
            Self::Gzip(encoder) => encoder.finish()?.into(),
            Self::Zstd(encoder) => encoder.finish()?.into(),
            Self::Lz4(encoder) => encoder.finish().map_err(io::Error::other)?.into(),
        })
    }
}

/// Uncompressed bytes per block we write; ClickHouse's own default.
const BLOCK_BYTES: usize = 1 << 20;
/// ClickHouse refuses blocks that claim more (DBMS_MAX_COMPRESSED_SIZE); so do we, tighter.
const BLOCK_BYTES_MAX: usize = 256 << 20;
const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 9;
const METHOD_NONE: u8 = 0x02;
const METHOD_LZ4: u8 = 0x82;
const METHOD_ZSTD: u8 = 0x90;

/// A failure's text as blocks whose data stays readable: clients search the raw bytes for it.
pub(crate) fn readable_blocks(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    text.chunks(BLOCK_BYTES).for_each(|part| write_block_of(METHOD_NONE, part.len(), part, &mut out));
    out
}

fn write_block(part: &[u8], out: &mut Vec<u8>) {
    write_block_of(METHOD_LZ4, part.len(), &lz4_flex::block::compress(part), out);
}

fn write_block_of(method: u8, uncompressed: usize, data: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + CHECKSUM_BYTES + HEADER_BYTES, 0);
    out.extend_from_slice(data);
    let length = (HEADER_BYTES + data.len()) as u32;
    let header = &mut out[start + CHECKSUM_BYTES..];
    header[0] = method;
    header[1..5].copy_from_slice(&length.to_le_bytes());
    header[5..9].copy_from_slice(&(uncompressed as u32).to_le_bytes());
    let checksum = checksum(&out[start + CHECKSUM_BYTES..]);
    out[start..start + CHECKSUM_BYTES].copy_from_slice(&checksum);
}

/// CityHash 1.0.2, low half first.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    cityhash_rs::cityhash_102_128(bytes).rotate_right(64).to_le_bytes()
}

/// Reads ClickHouse's compressed blocks, checking each checksum before anything is decompressed.
pub(crate) struct BlockReader {
    reader: Box<dyn Read + Send>,
}

impl BlockReader {
    /// Reads blocks from `reader`.
    pub(crate) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self { reader }
    }

    /// The next block's data; `None` when the body ends at a block's edge.
    pub(crate) fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut head = [0; CHECKSUM_BYTES + HEADER_BYTES];
        let mut filled = 0;
        while filled < head.len() {
            match self.reader.read(&mut head[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(damaged("a compressed block is cut in its header")),
                count => filled += count,
            }
        }
        let (sum, header) = head.split_at(CHECKSUM_BYTES);
        let compressed = word(&header[1..5]);
        let uncompressed = word(&header[5..9]);
        if !(HEADER_BYTES..=BLOCK_BYTES_MAX).contains(&compressed) || uncompressed > BLOCK_BYTES_MAX {
            return Err(damaged("a compressed block claims an impossible size"));
        }
        let mut block = header.to_vec();
        // Grows as bytes come, so a claim alone costs nothing.
        (&mut self.reader).take((compressed - HEADER_BYTES) as u64).read_to_end(&mut block)?;
        if block.len() != compressed {
            return Err(damaged("a compressed block is cut"));
        }
        if checksum(&block) != sum {
            return Err(damaged("a compressed block does not match its checksum"));
        }
        let data = &block[HEADER_BYTES..];
        let out = match header[0] {
            METHOD_NONE => data.to_vec(),
            METHOD_LZ4 => lz4_flex::block::decompress(data, uncompressed).map_err(io::Error::other)?,
            METHOD_ZSTD => zstd::bulk::decompress(data, uncompressed)?,
            method => return Err(damaged(&format!("unknown compression method {method:#x}"))),
        };
        if out.len() != uncompressed {
            return Err(damaged("a compressed block holds another size than it claims"));
        }
        Ok(Some(out.into()))
    }
}

fn word(bytes: &[u8]) -> usize {
    let mut word = [0; 4];
    word.copy_from_slice(bytes);
    u32::from_le_bytes(word) as usize
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut reader = BlockReader::new(Box::new(io::Cursor::new(bytes)));
        let mut out = Vec::new();
        while let Some(piece) = reader.next()? {
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }

    // Scenario: data of several blocks; then each way to damage it: cut anywhere, one bit flipped.
    // Guarantee: whole data comes back; every damage is an error, never other data.
    #[test]
    fn blocks_round_trip_and_reject_damage() {
        let data: Vec<u8> = (0..3 * BLOCK_BYTES / 2).map(|at| (at * at / 7) as u8).collect();
        let mut encoder = Encoder::new(Encoding::Identity, true).unwrap();
        let encoded = encoder.encode(&data).unwrap().to_vec();
        assert_eq!(blocks(encoded.clone()).unwrap(), data);

        let mut small = Vec::new();
        write_block(b"twelve bytes", &mut small);
        small.extend_from_slice(&readable_blocks(b"and more"));
        let edge = CHECKSUM_BYTES + HEADER_BYTES + lz4_flex::block::compress(b"twelve bytes").len();
        for cut in 1..small.len() {
            assert_eq!(blocks(small[..cut].to_vec()).is_ok(), cut == edge, "cut at {cut}");
        }
        for at in 0..small.len() {
            let mut flipped = small.clone();
            flipped[at] ^= 1;
            assert!(blocks(flipped).is_err(), "bit flipped at {at}");
        }
    }

    // Scenario: an answer is encoded in two pieces.
    // Guarantee: the first piece can be read before the second is made.
    #[test]
    fn encoders_flush_every_piece() {
        for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::Lz4] {
            let mut encoder = Encoder::new(encoding, false).unwrap();
            let first = encoder.encode(b"first").unwrap();
            assert!(!first.is_empty(), "{encoding:?}");
            let mut all = first.to_vec();
            all.extend_from_slice(&encoder.encode(b" second").unwrap());
            all.extend_from_slice(&encoder.finish().unwrap());
            let mut out = String::new();
            match encoding {
                Encoding::Gzip => flate2::read::GzDecoder::new(&all[..]).read_to_string(&mut out).unwrap(),
                Encoding::Zstd => zstd::stream::read::Decoder::new(&all[..]).unwrap().read_to_string(&mut out).unwrap(),
                _ => lz4_flex::frame::FrameDecoder::new(&all[..]).read_to_string(&mut out).unwrap(),
            };
            assert_eq!(out, "first second");
        }
    }

    // Scenario: Accept-Encoding headers as clients send them.
    // Guarantee: the cheapest offered encoding is chosen; refused ones are not.
    #[test]
    fn chooses_an_encoding() {
        for (header, expected) in [
            ("", Encoding::Identity),
            ("gzip, deflate, br", Encoding::Gzip),
            ("lz4", Encoding::Lz4),
            ("gzip, zstd", Encoding::Zstd),
            ("zstd;q=0, gzip;q=1.0", Encoding::Gzip),
            ("br", Encoding::Identity),
        ] {
            assert_eq!(Encoding::accepted(header), expected, "{header}");
        }
    }
}
