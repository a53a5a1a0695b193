//! Any bytes as any content encoding: no panic, never more than the limit.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::fuzz::decompress_any(bytes));
