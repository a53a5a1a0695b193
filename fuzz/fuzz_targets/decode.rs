//! Any bytes as any protocol, under usual and tight limits: no panic, whole columns.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::fuzz::decode_any(bytes));
