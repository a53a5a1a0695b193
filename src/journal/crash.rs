//! Named places at which a test lets the process die.
//!
//! The promise of the log is about being killed *between* two instructions, so the interesting
//! pairs have names. One of them is armed at a time; the process aborts when it is passed for the
//! nth time, without unwinding and without flushing, as `kill -9` would. In release builds every
//! function here is empty. The module knows nothing of the log: the root uses it for its own
//! points too. Fault test 3 of the reliability notes.

/// All points of this room, for table-driven tests.
pub const POINTS: [&str; 11] = [
    "segment-create",
    "header-write",
    "rename",
    "dir-fsync",
    "append-half",
    "before-fdatasync",
    "after-fdatasync",
    "seal-write",
    "confirm-write",
    "segment-close",
    "unlink",
];

/// Arms the point `name`: the process aborts when it is passed for the `nth` time (1 = the first
/// time). A later call replaces the earlier one. Does nothing in release builds.
pub fn arm(name: &str, nth: u32) {
    imp::arm(name, nth);
}

/// Aborts the process when `name` is armed and its turn has come.
pub fn crash_point(name: &str) {
    if due(name) {
        std::process::abort();
    }
}

/// True when `name` is armed and its turn has come: for points that must do half of something
/// before they abort.
pub fn due(name: &str) -> bool {
    imp::due(name)
}

#[cfg(debug_assertions)]
mod imp {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    static ARMED: AtomicBool = AtomicBool::new(false);
    static POINT: Mutex<Option<(String, u32)>> = Mutex::new(None);

    pub(super) fn arm(name: &str, nth: u32) {
        if let Ok(mut point) = POINT.lock() {
            *point = Some((name.to_owned(), nth.max(1)));
            ARMED.store(true, Ordering::Release);
        }
    }

    pub(super) fn due(name: &str) -> bool {
        if !ARMED.load(Ordering::Acquire) {
            return false;
        }
        let Ok(mut point) = POINT.lock() else { return false };
        match point.as_mut() {
            Some((armed, left)) if armed == name => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            _ => false,
        }
    }
}

#[cfg(not(debug_assertions))]
mod imp {
    pub(super) fn arm(_: &str, _: u32) {}
    pub(super) fn due(_: &str) -> bool {
        false
    }
}
