//! The allocator and its one setting. Memory that large requests and blocks leave behind goes back to
//! the system at once: by default mimalloc keeps it for a second, and at a hundred megabytes a second that is
//! memory which no budget knows of.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` in mimalloc.h: milliseconds for which free memory is kept.
const PURGE_DELAY: c_int = 15;
const DEFAULT_MS: c_long = 1000;
/// Long enough for the next block or body to find the memory of the last one.
const PURGE_DELAY_MS: c_long = 10;

unsafe extern "C" {
    fn mi_option_get(option: c_int) -> c_long;
    fn mi_option_set(option: c_int, value: c_long);
}

/// Applies the setting, unless the environment has its own (`MIMALLOC_PURGE_DELAY`).
pub(crate) fn set_up() {
    // SAFETY: mimalloc is linked, as it is the allocator; these functions take any number, know their options
    // by it, ignore unknown ones, and may be called at any time by any thread.
    unsafe {
        if mi_option_get(PURGE_DELAY) == DEFAULT_MS {
            mi_option_set(PURGE_DELAY, PURGE_DELAY_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: the option is read before and after it is set.
    // Guarantee: its number still means what we think: it had mimalloc's default, a second.
    #[test]
    fn the_option_is_the_one_we_mean() {
        // SAFETY: as above.
        assert_eq!(unsafe { mi_option_get(PURGE_DELAY) }, DEFAULT_MS);
        set_up();
        // SAFETY: as above.
        assert_eq!(unsafe { mi_option_get(PURGE_DELAY) }, PURGE_DELAY_MS);
    }
}
