//! Lengths of time as people write them.

/// Milliseconds of `250ms`, `1.5s`, `10m`, `2h`.
pub fn parse_length(text: &str) -> Option<f64> {
    let text = text.trim();
    let letters = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(letters);
    let factor = match unit {
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 6e4,
        "h" => 3.6e6,
        "d" => 8.64e7,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    let length = number * factor;
    // A hundred years are enough for a demo, and keep nanoseconds within 64 bits.
    (number.is_finite() && length.abs() <= 3.2e12).then_some(length)
}

/// The shortest form of a length in milliseconds.
pub fn tell_length(ms: f64) -> String {
    for (factor, unit) in [(3.6e6, "h"), (6e4, "m"), (1e3, "s")] {
        if ms.abs() >= factor && (ms / factor * 10.0).fract() == 0.0 {
            return format!("{}{unit}", ms / factor);
        }
    }
    format!("{ms}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: lengths as they are typed, and things that are none.
    // Guarantee: each means what it says and is told as it was typed; the others are refused.
    #[test]
    fn lengths() {
        for (text, ms) in [("250ms", 250.0), ("1.5s", 1500.0), ("10m", 600_000.0), ("2h", 7_200_000.0), ("-2s", -2e3)] {
            assert_eq!(parse_length(text), Some(ms), "{text}");
            assert_eq!(tell_length(ms), text);
        }
        for text in ["", "5", "s", "1x", "nans", "1e999s", "99999999999999h"] {
            assert_eq!(parse_length(text), None, "{text}");
        }
    }
}
