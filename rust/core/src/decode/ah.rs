//! IP authentication header (RFC 4302).

use super::layout::{Field, Kind, Layout, field, layout};
use super::{Cursor, Decoded, ipv6ext};
use crate::packet::Packet;

/// Passes the header: its length counts 4-byte words, less two (RFC 4302, 2.2).
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    ipv6ext::name_next(at, packet);
    let header = at.peek::<12>()?;
    let length = (usize::from(header[1]) + 2) * 4;
    at.slice(length)?;
    at.skip(length);
    Ok(ipv6ext::follow(header[0], at, packet))
}

/// Its fields.
pub static LAYOUT: Layout = layout("Authentication Header", "RFC 4302, 2", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "ah.next_header", "Next Header", 0, 1),
    field(Kind::Uint, "ah.length", "Length", 1, 1).unit("4-byte words less two"),
    field(Kind::Hex, "ah.spi", "SPI", 4, 4),
    field(Kind::Uint, "ah.sequence", "Sequence", 8, 4),
];
