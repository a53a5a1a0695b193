//! Nanoseconds since the Unix epoch, and the calendar arithmetic of partitions. No clock is read here.

/// One second in nanoseconds.
pub const SECOND_NS: i64 = 1_000_000_000;
/// One day in nanoseconds.
pub const DAY_NS: i64 = 86_400 * SECOND_NS;
/// 2000-01-01T00:00:00Z in nanoseconds.
pub const YEAR_2000_NS: i64 = 946_684_800 * SECOND_NS;
/// 1970-01-05, the first Monday of the epoch, in days.
const FIRST_MONDAY: i32 = 4;

/// The day (since 1970-01-01, UTC) that holds `time_ns`.
pub fn day(time_ns: i64) -> i32 {
    time_ns.div_euclid(DAY_NS) as i32
}

/// The Monday (as a day number) of the week that holds `day`.
pub fn monday(day: i32) -> i32 {
    (day - FIRST_MONDAY).div_euclid(7) * 7 + FIRST_MONDAY
}

/// Year, month, day of a day number (proleptic Gregorian; Howard Hinnant's `civil_from_days`).
pub fn civil(day: i32) -> (i32, u32, u32) {
    let z = i64::from(day) + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let m = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    ((yoe + era * 400 + i64::from(m <= 2)) as i32, m, d)
}

/// `YYYY-MM-DD` of a day number.
pub fn day_text(day: i32) -> String {
    let (y, m, d) = civil(day);
    format!("{y:04}-{m:02}-{d:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: days around epochs, leap years and week ends.
    // Guarantee: the calendar agrees with the known dates; Mondays are Mondays.
    #[test]
    fn calendar() {
        for (day_number, text) in
            [(0, "1970-01-01"), (19_782, "2024-02-29"), (10_957, "2000-01-01"), (-1, "1969-12-31")]
        {
            assert_eq!(day_text(day_number), text);
        }
        assert_eq!(day_text(monday(day(1_700_000_000 * SECOND_NS))), "2023-11-13");
        assert_eq!(monday(4), 4);
        assert_eq!(monday(3), -3);
    }
}
