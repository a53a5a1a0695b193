//! How many spans a sampled one stands for: the rejection threshold `th` of OpenTelemetry's
//! tracestate entry `ot` (specification/trace/tracestate-probability-sampling.md).

const FULL: u64 = 1 << 56;

/// The weight that a tracestate tells; 1 when it tells none.
#[inline]
pub(super) fn weight(trace_state: &[u8]) -> f64 {
    if trace_state.len() < SHORTEST.len() { 1.0 } else { told(trace_state) }
}

/// The shortest trace state that tells a threshold.
const SHORTEST: &[u8] = b"ot=th:0";

#[cold]
fn told(trace_state: &[u8]) -> f64 {
    threshold(trace_state).map_or(1.0, |threshold| FULL as f64 / (FULL - threshold) as f64)
}

fn threshold(trace_state: &[u8]) -> Option<u64> {
    let entry = trace_state.split(|byte| *byte == b',').find_map(|entry| entry.trim_ascii().strip_prefix(b"ot="))?;
    let digits = entry.split(|byte| *byte == b';').find_map(|field| field.strip_prefix(b"th:"))?;
    if digits.is_empty() || digits.len() > 14 {
        return None;
    }
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    // Trailing zeros may be left out: 14 digits are 56 bits.
    Some(u64::from_str_radix(text, 16).ok()? << (4 * (14 - digits.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: tracestates with and without a threshold, well and badly formed.
    // Guarantee: weight = 2^56 / (2^56 - threshold); anything else counts once.
    #[test]
    fn weights() {
        for (state, expected) in [
            ("ot=th:0", 1.0),
            ("ot=th:8", 2.0),
            ("ot=th:c", 4.0),
            ("ot=th:C", 4.0),
            ("rojo=00f067aa0ba902b7,ot=rv:abcdef;th:f", 16.0),
            ("a=1, ot=th:fd70a4", 99.99996),
            ("ot=rv:1", 1.0),
            ("ot=th:", 1.0),
            ("ot=th:xyz", 1.0),
            ("ot=th:123456789012345", 1.0),
            ("not=th:8", 1.0),
        ] {
            let got = weight(state.as_bytes());
            assert!((got - expected).abs() < 0.001, "{state}: {got}");
        }
        assert!(weight(b"ot=th:ffffffffffffff").is_finite());
    }
}
