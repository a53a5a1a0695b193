//! What the fuzz targets (`fuzz/`) do with their bytes; kept here so that ordinary tests run it too.

use std::sync::Arc;

use model::{Envelope, Limits, Protocol};

use crate::encoding::{self, Encoding};

/// Decodes `bytes` as every protocol, under usual and under tight limits. It must not panic, and
/// what comes out must be whole.
pub fn decode_any(bytes: &[u8]) {
    let tight = Limits {
        attributes_max: 2,
        attribute_value_bytes_max: 5,
        name_bytes_max: 3,
        body_bytes_max: 7,
        events_max: 1,
        links_max: 1,
        depth_max: 2,
        ..Limits::default()
    };
    for number in 0..=u8::MAX {
        let Some(protocol) = Protocol::from_number(number) else { continue };
        for limits in [&Limits::default(), &tight] {
            let envelope = Envelope { tenant: Arc::from(""), received_ns: 1, sender: Arc::from("") };
            if let Ok(decoded) = crate::decode(protocol, bytes, envelope, limits) {
                decoded.batch.spans.assert_whole();
                decoded.batch.logs.assert_whole();
                decoded.batch.metrics.assert_whole();
            }
        }
    }
}

/// Unpacks `bytes` in every encoding under a small limit. It must not panic nor pass the limit.
pub fn decompress_any(bytes: &[u8]) {
    const LIMIT_BYTES: usize = 64 * 1024;
    for number in 0..=u8::MAX {
        let Some(encoding) = Encoding::from_number(number) else { continue };
        if let Ok(plain) = encoding::decompress(encoding, bytes, LIMIT_BYTES, &mut |_| true) {
            assert!(plain.len() <= LIMIT_BYTES, "{encoding:?} passed the limit");
        }
    }
}
