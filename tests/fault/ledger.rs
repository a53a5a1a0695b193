//! The oracle's ledger: every request minted and what became of it, in memory for the comparison and
//! in a file for whoever looks for a lost item afterwards. Knows no network.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use crate::item::Kind;

/// The way a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/gRPC, gzip.
    GrpcGzip,
    /// OTLP/HTTP protobuf.
    Http,
    /// OTLP/HTTP protobuf, gzip.
    HttpGzip,
    /// Zipkin v2, JSON.
    Zipkin,
}

/// What a sender knows of a request in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is on its way.
    Open,
    /// Success was answered.
    Acked,
    /// Every attempt was refused or not sent: it must not be stored, and may be only by accident.
    Refused,
    /// At least one attempt was not answered, and the sender gave up: it may be stored, once.
    Unknown,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Its first item.
    pub first: u64,
    /// How many items.
    pub items: u32,
    /// What they are.
    pub kind: Kind,
    /// What became of it.
    pub outcome: Outcome,
}

/// All requests of a run.
pub struct Ledger {
    /// In the order of their minting; items are numbered through.
    pub requests: Vec<Request>,
    next: u64,
    file: BufWriter<File>,
}

impl Ledger {
    /// A ledger that writes to `dir/ledger.txt`.
    pub fn new(dir: &Path) -> Ledger {
        let file = File::create(dir.join("ledger.txt")).expect("the oracle's directory can be written");
        Ledger { requests: Vec::new(), next: 1, file: BufWriter::new(file) }
    }

    /// Notes a new request: its place and its first item.
    pub fn mint(&mut self, kind: Kind, door: Door, items: u32) -> (usize, u64) {
        let (at, first) = (self.requests.len(), self.next);
        self.next += u64::from(items);
        self.requests.push(Request { first, items, kind, outcome: Outcome::Open });
        let _ = writeln!(self.file, "{at} {first}+{items} {kind:?} {door:?}");
        (at, first)
    }

    /// Notes what became of a request.
    pub fn decide(&mut self, at: usize, outcome: Outcome) {
        self.requests[at].outcome = outcome;
        let _ = writeln!(self.file, "{at} {outcome:?}");
    }

    /// Items minted, items acknowledged, requests acknowledged.
    pub fn counts(&self) -> (u64, u64, u64) {
        let acked = self.requests.iter().filter(|request| request.outcome == Outcome::Acked);
        let (items, requests) =
            acked.fold((0, 0), |(items, requests), one| (items + u64::from(one.items), requests + 1));
        (self.next - 1, items, requests)
    }

    /// The request of an item.
    pub fn request_of(&self, number: u64) -> Option<(usize, Request)> {
        let at = self.requests.partition_point(|request| request.first <= number).checked_sub(1)?;
        let request = self.requests[at];
        (number < request.first + u64::from(request.items)).then_some((at, request))
    }

    /// Writes out the file.
    pub fn flush(&mut self) {
        let _ = self.file.flush();
    }
}
