//! File names with the time in them: the conversions of strftime(3) in the C locale.

use crate::calendar::date;
use std::fmt::Write as _;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment in the calendar.
struct Calendar {
    year: i64,
    /// From 1.
    month: u32,
    /// Of the month, from 1.
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    /// From Sunday, 0.
    weekday: u32,
    /// Of the year, from 0.
    yearday: u32,
}

impl Calendar {
    fn new(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        let second = seconds.rem_euclid(86_400) as u32;
        let (year, month, day) = date(days);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
        Self {
            year,
            month,
            day,
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
            weekday: (days + 4).rem_euclid(7) as u32,
            yearday: before + day - 1 + u32::from(leap && month > 2),
        }
    }

    /// ISO 8601 year and week.
    fn iso_week(&self) -> (i64, u32) {
        let monday_based = (self.weekday + 6) % 7;
        let week = (i64::from(self.yearday) - i64::from(monday_based) + 10) / 7;
        if week < 1 {
            return (self.year - 1, weeks_in(self.year - 1));
        }
        let weeks = weeks_in(self.year);
        if week > i64::from(weeks) { (self.year + 1, 1) } else { (self.year, week as u32) }
    }
}

/// ISO weeks of a year: 53 when it begins or ends on a Thursday.
fn weeks_in(year: i64) -> u32 {
    let dec_31 = |y: i64| (y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400)).rem_euclid(7);
    if dec_31(year) == 4 || dec_31(year - 1) == 3 { 53 } else { 52 }
}

/// Formats `seconds` since the epoch, shifted by `utc_offset` seconds to local time. What is no conversion stays as it
/// is.
pub(super) fn strftime(format: &str, seconds: i64, utc_offset: i32) -> String {
    let mut out = String::new();
    expand(&mut out, format, seconds, utc_offset);
    out
}

fn expand(out: &mut String, format: &str, seconds: i64, utc_offset: i32) {
    let at = Calendar::new(seconds.saturating_add(i64::from(utc_offset)));
    let day_name = DAYS[at.weekday as usize];
    let month_name = MONTHS[at.month as usize - 1];
    let hour_12 = (at.hour + 11) % 12 + 1;
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let again = rest.clone();
        // The E and O modifiers change nothing in the C locale.
        let conversion = match rest.next() {
            Some('E' | 'O') => rest.next(),
            other => other,
        };
        // Writing to a String cannot fail.
        let _ = match conversion {
            Some('a') => write!(out, "{}", &day_name[..3]),
            Some('A') => write!(out, "{day_name}"),
            Some('b' | 'h') => write!(out, "{}", &month_name[..3]),
            Some('B') => write!(out, "{month_name}"),
            Some('C') => write!(out, "{:02}", at.year.div_euclid(100)),
            Some('d') => write!(out, "{:02}", at.day),
            Some('e') => write!(out, "{:2}", at.day),
            Some('G') => write!(out, "{}", at.iso_week().0),
            Some('g') => write!(out, "{:02}", at.iso_week().0.rem_euclid(100)),
            Some('V') => write!(out, "{:02}", at.iso_week().1),
            Some('H') => write!(out, "{:02}", at.hour),
            Some('k') => write!(out, "{:2}", at.hour),
            Some('I') => write!(out, "{hour_12:02}"),
            Some('l') => write!(out, "{hour_12:2}"),
            Some('j') => write!(out, "{:03}", at.yearday + 1),
            Some('m') => write!(out, "{:02}", at.month),
            Some('M') => write!(out, "{:02}", at.minute),
            Some('p') => write!(out, "{}", if at.hour < 12 { "AM" } else { "PM" }),
            Some('P') => write!(out, "{}", if at.hour < 12 { "am" } else { "pm" }),
            Some('s') => write!(out, "{seconds}"),
            Some('S') => write!(out, "{:02}", at.second),
            Some('u') => write!(out, "{}", (at.weekday + 6) % 7 + 1),
            Some('w') => write!(out, "{}", at.weekday),
            Some('U') => write!(out, "{:02}", (at.yearday + 7 - at.weekday) / 7),
            Some('W') => write!(out, "{:02}", (at.yearday + 7 - (at.weekday + 6) % 7) / 7),
            Some('y') => write!(out, "{:02}", at.year.rem_euclid(100)),
            Some('Y') => write!(out, "{}", at.year),
            Some('z') => {
                let sign = if utc_offset < 0 { '-' } else { '+' };
                let minutes = utc_offset.unsigned_abs() / 60;
                write!(out, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
            }
            Some('Z') if utc_offset == 0 => write!(out, "UTC"),
            Some('n') => writeln!(out),
            Some('t') => write!(out, "\t"),
            Some('%') => write!(out, "%"),
            Some(compound @ ('c' | 'D' | 'F' | 'r' | 'R' | 'T' | 'x' | 'X')) => {
                let long = match compound {
                    'c' => "%a %b %e %H:%M:%S %Y",
                    'D' | 'x' => "%m/%d/%y",
                    'F' => "%Y-%m-%d",
                    'r' => "%I:%M:%S %p",
                    'R' => "%H:%M",
                    _ => "%H:%M:%S",
                };
                expand(out, long, seconds, utc_offset);
                Ok(())
            }
            _ => {
                rest = again;
                write!(out, "%")
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str =
        "%a|%A|%b|%B|%C|%d|%e|%g|%G|%H|%I|%j|%k|%l|%m|%M|%p|%P|%s|%S|%u|%U|%V|%w|%W|%y|%Y|%D|%F|%R|%T|%r|%c";

    /// date(1) of GNU coreutils does the same conversions; years around every change of ISO week numbering.
    #[test]
    fn agrees_with_date() {
        let days = |year: i64| (year - 1970) * 365 + (year - 1969).div_euclid(4);
        let mut moments = vec![0, 951_782_399, 951_782_400, 1_600_000_000, 2_147_483_648, 4_102_444_799];
        for year in 1995..2035 {
            moments.extend([-3, -2, -1, 0, 1, 2, 3, 58, 59, 60].map(|day| (days(year) + day) * 86_400 + 45_296));
        }
        let mut compared = 0;
        for seconds in moments {
            let date = std::process::Command::new("date")
                .env("LC_ALL", "C")
                .args(["-u", "-d", &format!("@{seconds}"), &format!("+{ALL}")])
                .output();
            let Ok(date) = date else {
                eprintln!("skipped: date(1) is not there");
                return;
            };
            assert_eq!(strftime(ALL, seconds, 0), String::from_utf8_lossy(&date.stdout).trim_end_matches('\n'));
            compared += 1;
        }
        assert!(compared > 400);
    }

    #[test]
    fn local_time() {
        assert_eq!(strftime("%Y%m%d-%H%M%S%z", 1_600_000_000, 7_200), "20200913-142640+0200");
        assert_eq!(strftime("%F %T %z", 0, -12_600), "1969-12-31 20:30:00 -0330");
    }

    #[test]
    fn what_is_no_conversion_stays() {
        assert_eq!(strftime("100%", 0, 0), "100%");
        assert_eq!(strftime("%Q-%E-%é-%Ey", 0, 0), "%Q-%E-%é-70");
        assert_eq!(strftime("plain.pcap", 0, 0), "plain.pcap");
    }
}
