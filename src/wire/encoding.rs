//! Content encodings of request bodies, and their bounded undoing: output is produced piece by piece,
//! every piece is asked for beforehand, and the limit ends a bomb before it bursts.

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// How a body is packed. The number is stored in journal frames: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Encoding {
    /// As it is.
    Identity = 0,
    /// gzip, one or more members.
    Gzip = 1,
    /// Zstandard, one or more frames.
    Zstd = 2,
    /// HTTP's "deflate": zlib, or raw deflate as some clients send it.
    Deflate = 3,
}

/// Why a body could not be unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecompressError {
    /// The packed stream is broken, ends early, or is followed by something else.
    #[error("decompressing the body: the stream is corrupt or cut short")]
    Corrupt,
    /// The plain body is larger than the limit.
    #[error("decompressing the body: the plain body is larger than the limit")]
    TooLarge,
    /// The memory budget is spent.
    #[error("decompressing the body: the memory budget is spent")]
    NoBudget,
}

/// Largest zstd window accepted, as a power of two: 8 MiB, what RFC 9659 grants HTTP.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const FIRST_PIECE_BYTES: usize = 16 * 1024;
/// Every further piece.
const PIECE_BYTES: usize = 256 * 1024;
/// How much larger the room becomes in which pieces are gathered.
const ROOM_STEP: usize = 8;
/// Unpacked bytes per packed one that a sender's word is taken for.
const HONEST_RATIO: usize = 16;

impl Encoding {
    /// The encoding with this number.
    pub fn from_number(number: u8) -> Option<Encoding> {
        [Encoding::Identity, Encoding::Gzip, Encoding::Zstd, Encoding::Deflate]
            .into_iter()
            .find(|encoding| *encoding as u8 == number)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// From a `Content-Encoding` (or `grpc-encoding`) value; empty text is identity. `None` when it
    /// is unknown, or a list of several encodings.
    pub fn from_header(text: &str) -> Option<Encoding> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Encoding::Identity),
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            "zstd" => Some(Encoding::Zstd),
            "deflate" => Some(Encoding::Deflate),
            _ => None,
        }
    }

    /// The name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
            Encoding::Deflate => "deflate",
        }
    }
}

/// Unpacks `body` into at most `limit_bytes`. Before memory is taken, `grow` is asked for the
/// additional bytes; when it says no, the work ends.
///
/// # Errors
/// [`DecompressError`], with everything taken so far freed.
pub fn decompress(
    encoding: Encoding,
    body: &[u8],
    limit_bytes: usize,
    grow: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, DecompressError> {
    let mut out = Out { bytes: Vec::new(), piece: Vec::new(), limit_bytes, grow };
    out.room(first_room(encoding, body))?;
    match encoding {
        Encoding::Identity => out.extend(body)?,
        Encoding::Gzip => inflate(body, || Decompress::new_gzip(15), true, &mut out)?,
        Encoding::Deflate => inflate(body, || Decompress::new(has_zlib_header(body)), false, &mut out)?,
        Encoding::Zstd => unzstd(body, &mut out)?,
    }
    out.finish()
}

// Telemetry packs about 6:1; a first guess of 4:1 saves copies without promising bombs much. gzip says its
// size in the end (RFC 1952), which is believed as far as telemetry goes; with one byte more for the end.
fn first_room(encoding: Encoding, body: &[u8]) -> usize {
    let most = body.len().saturating_mul(HONEST_RATIO).max(FIRST_PIECE_BYTES);
    match (encoding, body.last_chunk::<4>()) {
        (Encoding::Gzip, Some(size)) => (u32::from_le_bytes(*size) as usize + 1).clamp(FIRST_PIECE_BYTES, most),
        _ => body.len().saturating_mul(4).clamp(FIRST_PIECE_BYTES, 1 << 20),
    }
}

// Bytes are unpacked into a piece; what is beyond the first one is gathered. The room in which it is gathered
// grows in few large steps: room that was never written to costs nothing, but buffers that were, and are
// left behind by growing, do. What is paid for is what is written.
struct Out<'a> {
    bytes: Vec<u8>,
    piece: Vec<u8>,
    limit_bytes: usize,
    grow: &'a mut dyn FnMut(usize) -> bool,
}

impl Out<'_> {
    // Makes spare room in the piece: `first` bytes if it is the first. One byte above the limit is enough to
    // know that the limit is passed.
    fn room(&mut self, first: usize) -> Result<(), DecompressError> {
        if self.piece.len() < self.piece.capacity() {
            return Ok(());
        }
        let left = self.limit_bytes.saturating_add(1).saturating_sub(self.len());
        if left == 0 {
            return Err(DecompressError::TooLarge);
        }
        let next = if self.piece.capacity() == 0 { first } else { PIECE_BYTES }.min(left);
        if !(self.grow)(next) {
            return Err(DecompressError::NoBudget);
        }
        self.gather()?;
        match self.piece.capacity() {
            0 => self.piece.try_reserve_exact(next).map_err(|_| DecompressError::NoBudget),
            _ => Ok(()),
        }
    }

    // Moves the piece to the other bytes.
    fn gather(&mut self) -> Result<(), DecompressError> {
        if self.bytes.is_empty() {
            std::mem::swap(&mut self.bytes, &mut self.piece);
            return Ok(());
        }
        let needed = self.len();
        if needed > self.bytes.capacity() {
            let room = needed.saturating_mul(ROOM_STEP).min(self.limit_bytes.saturating_add(1)).max(needed);
            self.bytes.try_reserve_exact(room - self.bytes.len()).map_err(|_| DecompressError::NoBudget)?;
        }
        self.bytes.append(&mut self.piece);
        Ok(())
    }

    fn len(&self) -> usize {
        self.bytes.len() + self.piece.len()
    }

    fn finish(mut self) -> Result<Vec<u8>, DecompressError> {
        if self.len() > self.limit_bytes {
            return Err(DecompressError::TooLarge);
        }
        self.gather()?;
        Ok(self.bytes)
    }

    fn extend(&mut self, body: &[u8]) -> Result<(), DecompressError> {
        if body.len() > self.limit_bytes {
            return Err(DecompressError::TooLarge);
        }
        let more = body.len().saturating_sub(self.piece.capacity());
        if more > 0 && !(self.grow)(more) {
            return Err(DecompressError::NoBudget);
        }
        self.piece.extend_from_slice(body);
        Ok(())
    }
}

fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [cmf, flg, ..] if cmf & 15 == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0)
}

fn inflate(
    body: &[u8],
    fresh: impl Fn() -> Decompress,
    several: bool,
    out: &mut Out<'_>,
) -> Result<(), DecompressError> {
    let mut rest = body;
    loop {
        let mut stream = fresh();
        loop {
            out.room(FIRST_PIECE_BYTES)?;
            let before = (stream.total_in(), out.len());
            let status = stream
                .decompress_vec(rest, &mut out.piece, FlushDecompress::None)
                .map_err(|_| DecompressError::Corrupt)?;
            let read = (stream.total_in() - before.0) as usize;
            rest = &rest[read..];
            match status {
                Status::StreamEnd => break,
                // No step forward with room left: the stream wants input that is not there.
                _ if read == 0 && out.len() == before.1 => return Err(DecompressError::Corrupt),
                _ => {}
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        if !several {
            return Err(DecompressError::Corrupt);
        }
    }
}

fn unzstd(body: &[u8], out: &mut Out<'_>) -> Result<(), DecompressError> {
    let mut decoder = Decoder::new().map_err(|_| DecompressError::NoBudget)?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(|_| DecompressError::NoBudget)?;
    let mut input = InBuffer::around(body);
    loop {
        out.room(FIRST_PIECE_BYTES)?;
        let before = (input.pos(), out.len());
        let start = out.piece.len();
        let mut output = OutBuffer::around_pos(&mut out.piece, start);
        let hint = decoder.run(&mut input, &mut output).map_err(|_| DecompressError::Corrupt)?;
        if hint == 0 && input.pos() == body.len() {
            return Ok(());
        }
        if input.pos() == before.0 && out.len() == before.1 {
            return Err(DecompressError::Corrupt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(body: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn zst(body: &[u8]) -> Vec<u8> {
        zstd::encode_all(body, 3).unwrap()
    }

    // Scenario: the same bodies in every encoding, one and several members, then cut, spoilt and followed by garbage.
    // Guarantee: whole streams come back exactly; every broken one is called corrupt.
    #[test]
    fn streams() {
        use Encoding::*;
        let long: Vec<u8> = (0..300_000u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
        for body in [&b""[..], b"x", b"hello hello hello", &long] {
            for (encoding, packed) in [
                (Identity, body.to_vec()),
                (Gzip, gzip(body)),
                (Deflate, zlib(body)),
                (Deflate, raw_deflate(body)),
                (Zstd, zst(body)),
            ] {
                let plain = |bytes: &[u8]| decompress(encoding, bytes, 1 << 20, &mut |_| true);
                assert_eq!(plain(&packed).as_deref(), Ok(body), "{encoding:?}");
                if encoding == Identity {
                    continue;
                }
                if encoding != Deflate {
                    let twice = [&packed[..], &packed].concat();
                    assert_eq!(plain(&twice), Ok([body, body].concat()), "{encoding:?} twice");
                }
                for cut in [0, 1, packed.len() / 2, packed.len() - 1] {
                    assert_eq!(plain(&packed[..cut]), Err(DecompressError::Corrupt), "{encoding:?} cut at {cut}");
                }
                let tail = [&packed[..], b"garbage"].concat();
                assert_eq!(plain(&tail), Err(DecompressError::Corrupt), "{encoding:?} with a tail");
            }
        }
        let mut spoilt = gzip(&long);
        let middle = spoilt.len() - 6;
        spoilt[middle] ^= 1;
        assert_eq!(decompress(Gzip, &spoilt, 1 << 20, &mut |_| true), Err(DecompressError::Corrupt), "checksum");
    }

    // Scenario: bodies of a few KiB that unpack to 64 MiB, bodies at the limit, and a budget that runs out.
    // Guarantee: no more than the limit and one byte is ever asked for; the answer says which bound was met.
    #[test]
    fn bounds() {
        use Encoding::*;
        let zeros = vec![0; 64 << 20];
        for (encoding, packed) in [(Gzip, gzip(&zeros)), (Zstd, zst(&zeros)), (Deflate, zlib(&zeros))] {
            let mut taken = 0;
            let got = decompress(encoding, &packed, 1_000_000, &mut |more| {
                taken += more;
                true
            });
            assert_eq!(got, Err(DecompressError::TooLarge), "{encoding:?}");
            assert!(taken <= 1_000_001, "{encoding:?} took {taken}");
            assert_eq!(
                decompress(encoding, &packed, 1 << 30, &mut |more| more < 100_000),
                Err(DecompressError::NoBudget)
            );
            let exact = decompress(encoding, &packed, 64 << 20, &mut |_| true).map(|plain| plain.len());
            assert_eq!(exact, Ok(64 << 20), "{encoding:?} at the limit");
            assert_eq!(decompress(encoding, &packed, (64 << 20) - 1, &mut |_| true), Err(DecompressError::TooLarge));
        }
    }

    // Scenario: header values as clients write them.
    // Guarantee: known names in any case are understood, others are not guessed; numbers are stable.
    #[test]
    fn names() {
        for (text, expected) in [
            ("", Some(Encoding::Identity)),
            (" GZIP ", Some(Encoding::Gzip)),
            ("x-gzip", Some(Encoding::Gzip)),
            ("zstd", Some(Encoding::Zstd)),
            ("deflate", Some(Encoding::Deflate)),
            ("gzip, gzip", None),
            ("br", None),
        ] {
            assert_eq!(Encoding::from_header(text), expected, "{text}");
        }
        for number in 0..4 {
            assert_eq!(Encoding::from_number(number).map(|encoding| encoding as u8), Some(number));
        }
        assert_eq!(Encoding::from_number(4), None);
    }
}
