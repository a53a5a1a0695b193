//! Request bodies: received whole before the engine sees a byte, then handed over piece by piece.
//!
//! Whole first, because a client that disconnects or a frame that is cut must commit nothing, and
//! because a slow client must not hold an engine thread. Small bodies stay in memory as the very
//! buffers that came from the socket (no copy); larger ones go to an unlinked file, so memory
//! stays bounded. Knows bytes and encodings, not statements.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::compress::{BlockReader, Encoding};

/// Bounds on receiving a body.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Bytes kept in memory per body; the rest goes to a file.
    pub memory_bytes_max: usize,
    /// Bytes on the wire per body.
    pub body_bytes_max: u64,
    /// How long a client may send nothing.
    pub idle: Duration,
    /// How long a body may take in all.
    pub whole: Duration,
    /// Where files for large bodies are made (unlinked at once).
    pub spool_dir: PathBuf,
}

/// Why a body could not be received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// The client went away or broke the transfer encoding.
    #[error("the request body ended early: {0}")]
    Broken(#[from] hyper::Error),
    /// All of it took too long.
    #[error("the request body was not there after {0:?}")]
    Slow(Duration),
    /// Nothing came for too long.
    #[error("no byte of the request body came for {0:?}")]
    Idle(Duration),
    /// Larger than allowed.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    /// The spool file failed.
    #[error("writing a large request body to {path}: {error}")]
    Spool {
        /// The directory.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

/// A body received whole.
#[derive(Default)]
pub(crate) struct Spool {
    memory: Vec<Bytes>,
    file: Option<File>,
}

impl Spool {
    /// Receives the whole body or fails; on failure nothing of it is kept.
    pub(crate) async fn receive(body: Incoming, limits: &Limits) -> Result<Self, ReceiveError> {
        let receiving = Self::receive_all(body, limits);
        tokio::time::timeout(limits.whole, receiving).await.unwrap_or(Err(ReceiveError::Slow(limits.whole)))
    }

    async fn receive_all(mut body: Incoming, limits: &Limits) -> Result<Self, ReceiveError> {
        let mut spool = Self::default();
        // Small pieces are gathered: each would cost more than its bytes.
        let mut small = BytesMut::new();
        let (mut total, mut in_memory) = (0u64, 0usize);
        if body.size_hint().lower() > limits.body_bytes_max {
            return Err(ReceiveError::TooLarge(limits.body_bytes_max));
        }
        loop {
            let frame =
                tokio::time::timeout(limits.idle, body.frame()).await.map_err(|_| ReceiveError::Idle(limits.idle))?;
            let Some(frame) = frame else { break };
            let Ok(data) = frame?.into_data() else { continue };
            total += data.len() as u64;
            in_memory += data.len();
            if total > limits.body_bytes_max {
                return Err(ReceiveError::TooLarge(limits.body_bytes_max));
            }
            if in_memory > limits.memory_bytes_max {
                let gathered = small.split().freeze();
                spool = spool.append_to_file(gathered, &limits.spool_dir).await?;
                spool = spool.append_to_file(data, &limits.spool_dir).await?;
                continue;
            }
            if data.len() < SMALL_BYTES {
                small.extend_from_slice(&data);
            }
            if small.len() >= GATHERED_BYTES || data.len() >= SMALL_BYTES {
                spool.memory.extend((!small.is_empty()).then(|| small.split().freeze()));
                spool.memory.extend((data.len() >= SMALL_BYTES).then_some(data));
            }
        }
        spool.memory.extend((!small.is_empty()).then(|| small.freeze()));
        Ok(spool)
    }

    async fn append_to_file(mut self, data: Bytes, dir: &Path) -> Result<Self, ReceiveError> {
        let path = dir.to_owned();
        let written = tokio::task::spawn_blocking({
            let path = path.clone();
            move || -> io::Result<Self> {
                let mut file = match self.file.take() {
                    Some(file) => file,
                    None => unlinked_file(&path)?,
                };
                file.write_all(&data)?;
                self.file = Some(file);
                Ok(self)
            }
        });
        match written.await {
            Ok(Ok(spool)) => Ok(spool),
            Ok(Err(error)) => Err(ReceiveError::Spool { path, error }),
            Err(_) => Err(ReceiveError::Spool { path, error: io::Error::other("writer panicked") }),
        }
    }

    /// The first bytes, as they came (for choosing a lane).
    pub(crate) fn first(&self) -> &[u8] {
        self.memory.first().map_or(&[], |bytes| bytes)
    }

    /// Turns the body into a source of decoded bytes.
    pub(crate) fn into_source(self, encoding: Encoding, blocks: bool) -> io::Result<Source> {
        let mut file = self.file;
        if let Some(file) = &mut file {
            file.seek(SeekFrom::Start(0))?;
        }
        let raw = Raw { memory: self.memory.into_iter(), file };
        let decoded = match encoding {
            Encoding::Identity => Decoded::Plain(raw),
            Encoding::Gzip => Decoded::Stream(Box::new(flate2::read::MultiGzDecoder::new(RawReader::new(raw)))),
            Encoding::Deflate => Decoded::Stream(Box::new(flate2::read::ZlibDecoder::new(RawReader::new(raw)))),
            Encoding::Zstd => Decoded::Stream(Box::new(zstd::stream::read::Decoder::new(RawReader::new(raw))?)),
            Encoding::Lz4 => Decoded::Stream(Box::new(lz4_flex::frame::FrameDecoder::new(RawReader::new(raw)))),
        };
        Ok(Source {
            decoded: match (blocks, decoded) {
                (false, decoded) => decoded,
                (true, Decoded::Plain(raw)) => {
                    Decoded::Blocks(Box::new(BlockReader::new(Box::new(RawReader::new(raw)))))
                }
                (true, Decoded::Stream(reader)) => Decoded::Blocks(Box::new(BlockReader::new(reader))),
                (true, decoded @ Decoded::Blocks(_)) => decoded,
            },
            pushed_back: None,
        })
    }
}

const SMALL_BYTES: usize = 16 << 10;
const GATHERED_BYTES: usize = 128 << 10;

fn unlinked_file(dir: &Path) -> io::Result<File> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(format!("body-{:016x}", rand::random::<u64>()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// The pieces as they came from the socket, then those of the file.
struct Raw {
    memory: std::vec::IntoIter<Bytes>,
    file: Option<File>,
}

impl Raw {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        for bytes in self.memory.by_ref() {
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        read_piece(file)
    }
}

struct RawReader {
    raw: Raw,
    piece: Bytes,
}

impl RawReader {
    fn new(raw: Raw) -> Self {
        Self { raw, piece: Bytes::new() }
    }
}

impl Read for RawReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            match self.raw.next()? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = out.len().min(self.piece.len());
        out[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

enum Decoded {
    Plain(Raw),
    Stream(Box<dyn Read + Send>),
    Blocks(Box<BlockReader>),
}

/// Decoded bytes of a body, one piece after the other.
pub(crate) struct Source {
    decoded: Decoded,
    pushed_back: Option<Bytes>,
}

const PIECE_BYTES: usize = 256 << 10;

fn read_piece(reader: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut filled = 0;
    while filled < piece.len() {
        match reader.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(filled);
    Ok(if filled == 0 { None } else { Some(piece.into()) })
}

impl Source {
    /// The next piece; `None` at the true end, an error when the encoding is cut or damaged.
    pub(crate) fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(piece) = self.pushed_back.take() {
            return Ok(Some(piece));
        }
        match &mut self.decoded {
            Decoded::Plain(raw) => raw.next(),
            Decoded::Stream(reader) => read_piece(reader),
            Decoded::Blocks(blocks) => blocks.next(),
        }
    }

    /// Gives back what was read too much; comes first again.
    pub(crate) fn push_back(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pushed_back = Some(piece);
        }
    }

    /// Reads until `bytes` are there or the body ends; tells whether it ended.
    pub(crate) fn read_head(&mut self, bytes: usize) -> io::Result<(Vec<u8>, bool)> {
        let mut head = Vec::new();
        while head.len() < bytes {
            match self.next()? {
                Some(piece) => head.extend_from_slice(&piece),
                None => return Ok((head, true)),
            }
        }
        Ok((head, false))
    }
}
