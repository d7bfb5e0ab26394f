//! Days since 1970-01-01 as dates of the proleptic Gregorian calendar.

use std::fmt::Write;

/// Year, month (from 1) and day (from 1) of a number of days since 1970-01-01.
#[must_use]
pub fn date(days: i64) -> (i64, u32, u32) {
    // Years that begin in March make the leap day the last: eras of 400 years have 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

/// A time since 1970 as ISO 8601, of a unit of which `a_second` are one; always with nanoseconds.
///
/// # Errors
/// Those of `out`: none of a `String`.
pub fn utc(since: i64, a_second: i64, out: &mut String) -> std::fmt::Result {
    let (seconds, rest) = (since.div_euclid(a_second), since.rem_euclid(a_second) * (1_000_000_000 / a_second));
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let clock = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:09}Z")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(-1), (1969, 12, 31));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_000), (2024, 10, 4));
    }
}
