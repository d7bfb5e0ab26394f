//! File names with the time in them, as tcpdump makes them: local time, and the conversions of the C library.
//!
//! Source: strftime(3), localtime(3)

use std::ffi::CString;

/// `name` with its conversions as they are at `seconds` since the epoch, local time. One that is no path then (longer than
/// any can be) stays as it is.
#[must_use]
pub fn local_name(name: &str, seconds: i64) -> String {
    let mut out = vec![0; libc::PATH_MAX as usize];
    let Ok(format) = CString::new(name) else { return name.to_owned() };
    // SAFETY: `time` and `local` live through the calls, and all zeros is a `tm`; strftime writes no more than it is told
    // that `out` has, and reads two NUL-terminated strings: the format, and a zone's name that lives as long as the process.
    let len = unsafe {
        let mut local: libc::tm = std::mem::zeroed();
        let time: libc::time_t = seconds;
        if libc::localtime_r(&raw const time, &raw mut local).is_null() {
            return name.to_owned();
        }
        libc::strftime(out.as_mut_ptr().cast(), out.len(), format.as_ptr(), &raw const local)
    };
    if len == 0 { name.to_owned() } else { String::from_utf8_lossy(&out[..len]).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_date() {
        const ALL: &str = "%a|%B|%C|%e|%G-%V|%j|%k|%l|%p|%s|%U|%W|%z|%Z|%F|%T|%c|%-d|%_H|%^a|%#Z|%10Y|%Ey|%Od|%%|é";
        for seconds in [0, 951_782_400, 1_600_000_000, 1_735_689_599, 4_102_444_799] {
            let date = std::process::Command::new("date")
                .env("LC_ALL", "C")
                .args(["-d", &format!("@{seconds}"), &format!("+{ALL}")])
                .output();
            let Ok(date) = date else {
                eprintln!("skipped: date(1) is not there");
                return;
            };
            assert_eq!(local_name(ALL, seconds), String::from_utf8_lossy(&date.stdout).trim_end_matches('\n'));
        }
    }

    #[test]
    fn what_is_no_conversion_stays() {
        for name in ["100%", "%Q-%é", "plain.pcap", "", "a\0b", "%9999Y"] {
            assert_eq!(local_name(name, 0), name);
        }
    }
}
