//! The thread that makes, closes and removes segment files, so that the writer does not wait for
//! any of it.
//!
//! One segment is always made ahead of need. Commands are carried out in the order given, so
//! removals reach the disk oldest first: each is made durable before the next begins.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};

use crate::book::{Book, State};
use crate::crash::crash_point;
use crate::disk::Disk;
use crate::lock;
use crate::segment::{self, Header};

pub(crate) enum Command {
    /// Make the next segment.
    Make,
    /// Cut segment `number` to `end`, append its closing records.
    Close { number: u64, file: Arc<File>, end: u64, records: Vec<u8> },
    /// Remove segment `number`.
    Remove { number: u64 },
}

/// A segment made ahead.
pub(crate) struct Spare {
    pub(crate) number: u64,
    pub(crate) file: File,
    /// End of the reserved space.
    pub(crate) reserved: u64,
}

enum Slot {
    Making,
    Ready(Spare),
    Failed(io::Error),
    /// The keeper is gone.
    Ended,
}

/// Where the writer picks up the spare.
pub(crate) struct Shelf {
    slot: Mutex<Slot>,
    changed: Condvar,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        Self { slot: Mutex::new(Slot::Making), changed: Condvar::new() }
    }

    /// Takes the spare, waiting for one that is being made. After a failure: the error; `Make` must
    /// then be asked for again.
    pub(crate) fn take(&self) -> io::Result<Spare> {
        let mut slot = lock(&self.slot);
        while matches!(*slot, Slot::Making) {
            slot = self.changed.wait(slot).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        if matches!(*slot, Slot::Ended) {
            return Err(io::Error::other("the journal's keeper has ended"));
        }
        match std::mem::replace(&mut *slot, Slot::Making) {
            Slot::Ready(spare) => Ok(spare),
            Slot::Failed(error) => Err(error),
            Slot::Making | Slot::Ended => Err(io::ErrorKind::Other.into()),
        }
    }

    /// Bytes that the spare holds on disk, and whether making it failed.
    pub(crate) fn state(&self) -> (u64, bool) {
        match &*lock(&self.slot) {
            Slot::Ready(spare) => (spare.reserved, false),
            Slot::Making => (0, false),
            Slot::Failed(_) | Slot::Ended => (0, true),
        }
    }

    fn put(&self, made: io::Result<Spare>) {
        *lock(&self.slot) = made.map_or_else(Slot::Failed, Slot::Ready);
        self.changed.notify_all();
    }
}

pub(crate) struct Keeper {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Disk,
    pub(crate) book: Arc<Book>,
    pub(crate) shelf: Arc<Shelf>,
    /// For the next segment.
    pub(crate) header: Header,
    pub(crate) reserve_bytes: u64,
    pub(crate) clock: fn() -> i64,
}

/// Starts the thread; it ends, after all commands, when the sender is dropped.
pub(crate) fn start(keeper: Keeper) -> io::Result<(Sender<Command>, std::thread::JoinHandle<()>)> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("journal-keeper".into()).spawn(move || keeper.run(&receiver))?;
    Ok((sender, thread))
}

impl Keeper {
    fn run(mut self, commands: &Receiver<Command>) {
        // Somebody who waits for the spare must not wait for ever, whatever happens here.
        let _guard = Guard(self.shelf.clone());
        for command in commands {
            match command {
                Command::Make => self.make(),
                Command::Close { number, file, end, records } => self.close(number, &file, end, &records),
                Command::Remove { number } => self.remove(number),
            }
        }
        if let Slot::Ready(spare) = &*lock(&self.shelf.slot) {
            // It holds nothing; if it stays, the next start removes it.
            let _ = std::fs::remove_file(self.dir.join(segment::file_name(spare.number)));
        }
    }

    fn make(&mut self) {
        self.header.created_ns = (self.clock)();
        let number = self.header.number;
        let made = segment::create(&self.disk, &self.dir, &self.header, self.reserve_bytes);
        self.header.number += u64::from(made.is_ok());
        self.shelf.put(made.map(|(file, reserved)| Spare { number, file, reserved }));
    }

    /// A segment without a summary is whole all the same; it is only slower to start from.
    fn close(&self, number: u64, file: &File, end: u64, records: &[u8]) {
        crash_point("segment-close");
        let closed = self.disk.truncate(file, end).and_then(|()| {
            self.disk.write_all_at(file, &mut [IoSlice::new(records)], end)?;
            self.disk.sync_data(file)
        });
        let extra = if closed.is_ok() { records.len() as u64 } else { 0 };
        self.book.update(number, |segment| {
            segment.state = State::Closed;
            segment.disk_bytes = end + extra;
        });
    }

    fn remove(&self, number: u64) {
        if self.book.oldest() != Some(number) {
            // An older one could not be removed: none may overtake it.
            self.book.update(number, |segment| segment.state = State::Closed);
            return;
        }
        crash_point("unlink");
        let removed = match std::fs::remove_file(self.dir.join(segment::file_name(number))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.disk.sync_dir(&self.dir),
        };
        match removed {
            Ok(()) => self.book.remove(number),
            Err(_) => self.book.update(number, |segment| segment.state = State::Closed),
        }
    }
}

struct Guard(Arc<Shelf>);

impl Drop for Guard {
    fn drop(&mut self) {
        *lock(&self.0.slot) = Slot::Ended;
        self.0.changed.notify_all();
    }
}
