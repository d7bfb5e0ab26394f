//! IGMP in a line (RFC 2236, RFC 3376), in tcpdump's words.

use super::line::Place;
use crate::decode::max_response;
use std::fmt::Write;

pub fn igmp(place: &Place<'_>, out: &mut String) -> Option<()> {
    let bytes = place.bytes;
    let group = || bytes.ipv4(4);
    let _ = match bytes.u8(0)? {
        0x11 if place.wire >= 12 => {
            out.push_str("igmp query v3");
            let tenths = max_response(bytes.u8(1)?);
            if tenths != 100 {
                let _ = write!(out, " [max resp time {}.{}s]", tenths / 10, tenths % 10);
            }
            let group = group()?;
            if group.is_unspecified() {
                return Some(());
            }
            let _ = write!(out, " [gaddr {group}");
            match bytes.be16(10)? {
                0 => write!(out, "]"),
                sources if place.wire < 12 + usize::from(sources) * 4 => {
                    write!(out, " [invalid number of sources]]")
                }
                sources => write!(out, ", {sources} source(s)]"),
            }
        }
        0x11 => {
            let _ = match bytes.u8(1)? {
                0 => write!(out, "igmp query v1"),
                100 => write!(out, "igmp query v2"),
                tenths => write!(out, "igmp query v2 [max resp time {tenths}]"),
            };
            let group = group()?;
            if group.is_unspecified() { Ok(()) } else { write!(out, " [gaddr {group}]") }
        }
        0x12 => write!(out, "igmp v1 report {}", group()?),
        0x16 => write!(out, "igmp v2 report {}", group()?),
        0x17 => write!(out, "igmp leave {}", group()?),
        // No whole record (RFC 3376, 4.2).
        0x22 if place.wire < 16 || !place.wire.is_multiple_of(4) => {
            write!(out, "igmp v3 report [invalid len {}]", place.wire)
        }
        0x22 => write!(out, "igmp v3 report, {} group record(s)", bytes.be16(6)?),
        other => write!(out, "igmp-{other}"),
    };
    Some(())
}
