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
pub fn stp(place: &Place<'_>, out: &mut String) -> std::fmt::Result {
    let bytes = place.bytes;
    let version = match bytes.u8(2) {
        Some(0) => "802.1d",
        Some(2) => "802.1w",
        Some(3) => "802.1s",
        Some(4) => "802.1aq",
        _ => return write!(out, "STP, length {}", place.wire),
    };
    let kind = match bytes.u8(3) {
        Some(0) => "Config",
        Some(2) => "Rapid STP",
        Some(0x80) => return write!(out, "STP {version}, Topology Change"),
        _ => return write!(out, "STP {version}, length {}", place.wire),
    };
    let (Some(flags), Some(bridge), Some(mac), Some(port)) =
        (bytes.u8(4), bytes.be16(17), bytes.mac(19), bytes.be16(25))
    else {
        return write!(out, "STP {version}, {kind} [|stp]");
    };
    write!(out, "STP {version}, {kind}, Flags [")?;
    let mut set = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).peekable();
    if set.peek().is_none() {
        out.push_str("none");
    }
    while let Some(name) = set.next() {
        out.push_str(name);
        out.push_str(if set.peek().is_some() { ", " } else { "" });
    }
    write!(out, "], bridge-id {bridge:04x}.{mac}.{port:04x}, length {}", place.wire)
}
