//! Spanning tree (IEEE 802.1D-2004, clause 9.3) in tcpdump's words.

use super::line::Place;
use std::fmt::Write;

/// Bits of the flags; 0x0c is the port's role, which is not printed.
const FLAGS: [(u8, &str); 6] = [
    (0x01, "Topology change"),
    (0x02, "Proposal"),
    (0x10, "Learn"),
    (0x20, "Forward"),
    (0x40, "Agreement"),
    (0x80, "Topology change ACK"),
];

/// Version, kind, flags and the sender's bridge and port.
pub fn stp(place: &Place<'_>, out: &mut String) -> Option<()> {
    let bytes = place.bytes;
    let version = match bytes.u8(2)? {
        0 => "STP 802.1d",
        2 => "STP 802.1w",
        3 => "STP 802.1s",
        4 => "STP 802.1aq",
        _ => return length("STP", place, out),
    };
    let kind = match bytes.u8(3)? {
        0 => "Config",
        2 => "Rapid STP",
        0x80 => {
            let _ = write!(out, "{version}, Topology Change");
            return Some(());
        }
        _ => return length(version, place, out),
    };
    let _ = write!(out, "{version}, {kind}");
    let (flags, bridge, mac, port) = (bytes.u8(4)?, bytes.be16(17)?, bytes.mac(19)?, bytes.be16(25)?);
    out.push_str(", Flags [");
    let mut set = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).peekable();
    if set.peek().is_none() {
        out.push_str("none");
    }
    while let Some(name) = set.next() {
        out.push_str(name);
        out.push_str(if set.peek().is_some() { ", " } else { "" });
    }
    let _ = write!(out, "], bridge-id {bridge:04x}.{mac}.{port:04x}, length {}", place.wire);
    Some(())
}

/// What is not known better.
fn length(name: &str, place: &Place<'_>, out: &mut String) -> Option<()> {
    let _ = write!(out, "{name}, length {}", place.wire);
    Some(())
}
