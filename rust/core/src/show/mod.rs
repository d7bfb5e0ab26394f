//! Decoded frames as text.

mod arp;
mod bytes;
mod canonical;
pub mod conversation;
mod dns;
mod fields;
mod hex;
mod icmp;
mod icmpv6;
mod igmp;
mod json;
mod line;
mod link;
mod names;
mod ppp;
mod sequence;
mod stp;
mod tcp;
mod text;
mod transaction;
mod transport;
mod tree;
mod tunnel;
mod view;
mod zone;

pub use canonical::canonical_line;
pub use fields::{FieldFormat, FieldPrinter, Occurrence, known_fields};
pub use hex::{ascii, hex, hex_and_ascii};
pub use json::json;
pub use line::{LineOptions, LinePrinter, Time};
pub use names::Names;
pub use text::{Dump, TextPrinter};
pub use tree::tree;
pub use view::{LayerView, layers};
pub use zone::Zone;

use crate::decode::Proto;
use crate::packet::Packet;

/// The stack as in `frame.protocols`, joined by `:`.
#[must_use]
pub fn protocols(packet: &Packet) -> String {
    packet.layers().iter().map(|layer| layer.proto().name()).collect::<Vec<_>>().join(":")
}

/// Nanoseconds since 1970 as seconds with nine decimals.
fn epoch(ts: i64) -> String {
    let (sign, ts) = (if ts < 0 { "-" } else { "" }, ts.unsigned_abs());
    format!("{sign}{}.{:09}", ts / 1_000_000_000, ts % 1_000_000_000)
}

/// Where the link header ends and what it carries begins: what `-x` and `-A` leave out.
#[must_use]
pub fn network_offset(packet: &Packet) -> usize {
    let is_link = |proto: Proto| {
        use Proto::{Chdlc, Eth, Llc, Null, Ppp, PppHdlc, Raw, SVlan, Sll, Sll2, Vlan};
        matches!(proto, Chdlc | Eth | Llc | Null | Ppp | PppHdlc | Raw | SVlan | Sll | Sll2 | Vlan)
    };
    packet.layers().iter().find(|layer| !is_link(layer.proto())).map_or(0, |layer| layer.offset())
}
