//! One group: everything that is written with one write and made durable with one flush.
//!
//! Bodies are not copied: they go from the caller's buffer to the kernel. Heads, headers and small
//! records are collected in one scratch buffer between them.

use std::io::IoSlice;

use bytes::Bytes;

use crate::error::AppendError;
use crate::frame::Encoded;
use crate::queue::Done;
use crate::record::{self, Head, Kind, Lsn};
use crate::seal::{Abandon, Mark, Seal};
use crate::summary::Recent;

/// Bodies up to this size are cheaper to copy than to list.
const COPY_BYTES_MAX: usize = 2048;

pub(crate) struct Group<P> {
    salt: [u8; 8],
    scratch: Vec<u8>,
    /// Bodies, each with the place in `scratch` before which it belongs.
    bodies: Vec<(usize, Bytes)>,
    body_bytes: u64,
    /// Number that the next frame gets.
    pub(crate) next: Lsn,
    pub(crate) payloads: Vec<(Lsn, P)>,
    pub(crate) dones: Vec<(Lsn, Done)>,
    pub(crate) notes: Vec<Recent>,
    pub(crate) seals: Vec<Seal>,
    pub(crate) confirms: Vec<u128>,
    /// Batches that frames of this group stand in for.
    pub(crate) settled: Vec<u128>,
    pub(crate) mark: Option<Mark>,
    pub(crate) abandons: usize,
    pub(crate) clean_stop: bool,
    /// Somebody waits for the flush.
    pub(crate) sync: bool,
}

impl<P> Group<P> {
    pub(crate) fn new(salt: [u8; 8], next: Lsn) -> Self {
        Self {
            salt,
            scratch: Vec::new(),
            bodies: Vec::new(),
            body_bytes: 0,
            next,
            payloads: Vec::new(),
            dones: Vec::new(),
            notes: Vec::new(),
            seals: Vec::new(),
            confirms: Vec::new(),
            settled: Vec::new(),
            mark: None,
            abandons: 0,
            clean_stop: false,
            sync: false,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.scratch.len() as u64 + self.body_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scratch.is_empty()
    }

    pub(crate) fn add_frame(&mut self, encoded: Encoded, note: Recent, payload: P, done: Done) {
        let lsn = self.next;
        self.next += 1;
        self.settled.extend(encoded.settles);
        let length = encoded.length();
        // Checked when it was encoded: far below 4 GiB.
        let head = Head::new(Kind::Frame, length as u32, lsn).encode(self.salt);
        self.scratch.extend_from_slice(&head);
        self.scratch.extend_from_slice(&encoded.meta);
        if encoded.body.len() <= COPY_BYTES_MAX {
            self.scratch.extend_from_slice(&encoded.body);
        } else {
            self.body_bytes += encoded.body.len() as u64;
            self.bodies.push((self.scratch.len(), encoded.body));
        }
        self.scratch.extend_from_slice(record::padding(length));
        self.scratch.extend_from_slice(&record::tail(encoded.padded_crc, &head, self.salt, length as u32));
        self.notes.push(Recent { lsn, ..note });
        self.payloads.push((lsn, payload));
        self.dones.push((lsn, done));
    }

    /// Twice: a seal that is lost to one flipped bit would let its batch be inserted again.
    pub(crate) fn add_seal(&mut self, seal: Seal, done: Done) {
        let mut payload = Vec::with_capacity(128);
        seal.encode(&mut payload);
        self.put(Kind::Seal, &payload);
        self.put(Kind::Seal, &payload);
        self.seals.push(seal);
        self.dones.push((self.next, done));
    }

    pub(crate) fn add_confirm(&mut self, batch: u128) {
        self.put(Kind::Confirm, &batch.to_le_bytes());
        self.confirms.push(batch);
    }

    pub(crate) fn add_mark(&mut self, mark: Mark) {
        let mut payload = Vec::with_capacity(272);
        mark.encode(&mut payload);
        self.put(Kind::Mark, &payload);
        self.mark = Some(mark);
    }

    pub(crate) fn add_abandon(&mut self, abandon: &Abandon) {
        let mut payload = Vec::with_capacity(32);
        abandon.encode(&mut payload);
        self.put(Kind::Abandon, &payload);
        self.abandons += 1;
    }

    pub(crate) fn add_clean_stop(&mut self) {
        self.put(Kind::CleanStop, &[]);
        self.clean_stop = true;
    }

    /// The bytes, in order.
    pub(crate) fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(2 * self.bodies.len() + 1);
        let mut from = 0;
        for (before, body) in &self.bodies {
            slices.push(IoSlice::new(&self.scratch[from..*before]));
            slices.push(IoSlice::new(body));
            from = *before;
        }
        slices.push(IoSlice::new(&self.scratch[from..]));
        slices
    }

    /// Tells everybody in the group that it was refused. The payloads go with it.
    pub(crate) fn refuse(self, error: &AppendError) -> usize {
        let count = self.dones.len();
        for (_, done) in self.dones {
            // Who no longer waits need not be told.
            let _ = done.send(Err(error.clone()));
        }
        count
    }

    fn put(&mut self, kind: Kind, payload: &[u8]) {
        record::put(&mut self.scratch, kind, self.next, payload, self.salt);
    }
}
