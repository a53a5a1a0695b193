//! Reproducible chance: one small generator (SplitMix64) per request, so that a fault in one request
//! does not change the dice of another, and a seed means the same in every build.

/// A generator.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The generator of one stream of a seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Random {
        Random(mix(seed ^ mix(stream.wrapping_add(0x6a09_e667_f3bc_c909))))
    }

    /// Any 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Any 64 bits but none, as ids must be.
    pub(crate) fn id(&mut self) -> u64 {
        self.bits().max(1)
    }

    /// A trace id: both halves are filled.
    pub(crate) fn trace_id(&mut self) -> u128 {
        u128::from(self.id()) << 64 | u128::from(self.id())
    }

    /// Between 0 and 1, without 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// A number below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((self.share() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Log-normal around a median, as latencies are.
    pub(crate) fn about(&mut self, median: f64, sigma: f64) -> f64 {
        let (radius, angle) = ((1.0 - self.share()).ln(), self.share() * std::f64::consts::TAU);
        median * (sigma * (-2.0 * radius).sqrt() * angle.cos()).exp()
    }

    /// The gap to the next of events that come independently.
    pub(crate) fn gap(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.share()).ln()
    }
}

/// Spreads every bit over all.
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
