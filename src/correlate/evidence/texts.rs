//! Hashes of texts: what events and orders are made of, so that neither depends on how texts are numbered.

use twox_hash::XxHash3_64;

use crate::graph::{Name, Names};

/// The texts of a minute and their hashes, by number.
#[derive(Debug, Default)]
pub(super) struct Texts {
    hashes: Vec<u64>,
}

const CALL: u64 = 0x9e37_79b9_7f4a_7c15;
const EXCEPTION: u64 = 0xc2b2_ae3d_27d4_eb4f;

impl Texts {
    /// Hashes what is new in `names`.
    pub(super) fn update(&mut self, names: &Names) {
        let known = self.hashes.len() as u32;
        let hash = |number| XxHash3_64::oneshot(names.text(Name::of_number(number)).as_bytes());
        self.hashes.extend((known..names.len() as u32).map(hash));
    }

    /// Of a text.
    pub(super) fn hash(&self, name: Name) -> u64 {
        self.hashes.get(name.number()).copied().unwrap_or_default()
    }

    /// The event that a span calls an operation of a service, or takes a step of its own (no service).
    pub(super) fn call(&self, service: Name, operation: Name) -> u64 {
        mix(mix(CALL, self.hash(service)), self.hash(operation)).max(16)
    }

    /// The event that an exception of this type is recorded.
    pub(super) fn exception(&self, kind: Name) -> u64 {
        mix(EXCEPTION, self.hash(kind)).max(16)
    }
}

/// Two numbers as one (splitmix64's finaliser over their sum).
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.rotate_left(5).wrapping_add(b).wrapping_add(CALL);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
