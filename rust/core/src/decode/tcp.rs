//! Transmission Control Protocol (RFC 9293).

use super::cursor::{be16, be32};
use super::layout::{Field, FieldValue, Header, Kind, Layout, Value, field, layout, read, told};
use super::{Cursor, Decoded, Fault};
use crate::packet::Packet;

/// Length of the header without options, bytes (RFC 9293, 3.1).
pub const MIN_HEADER: usize = 20;

/// Reads ports, numbers, flags and window.
#[inline(always)]
pub fn decode(at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
    let header = at.peek::<MIN_HEADER>().inspect_err(|_| ports_alone(at, packet))?;
    let flags = be16(header, 12) & 0x0fff;
    let header_len = usize::from(header[12] >> 4) * 4;
    if !at.quoted {
        packet.transport = at.pos() as u32;
        packet.has_ports = true;
        packet.has_tcp = true;
        packet.src_port = be16(header, 0);
        packet.dst_port = be16(header, 2);
        packet.tcp_seq = be32(header, 4);
        packet.tcp_ack = be32(header, 8);
        packet.tcp_flags = flags;
        packet.tcp_window = be16(header, 14);
    }
    if header_len < MIN_HEADER {
        return Err(Fault::Bad("data offset under 5"));
    }
    let payload_len = at.wire_rest().saturating_sub(header_len);
    if !at.quoted {
        packet.payload = (at.pos() + header_len) as u32;
        packet.payload_len = payload_len as u32;
    }
    at.slice(header_len)?;
    at.skip(header_len);
    Ok(super::app::next(true, (be16(header, 0), be16(header, 2)), at, packet))
}

/// Notes the ports of a TCP, UDP or SCTP header that was cut behind them: they are enough to know the flow.
#[cold]
pub fn ports_alone(at: &Cursor<'_>, packet: &mut Packet) {
    if let Ok(ports) = at.peek::<4>()
        && !at.quoted
    {
        packet.has_ports = true;
        (packet.src_port, packet.dst_port) = (be16(ports, 0), be16(ports, 2));
    }
}

/// Its fields.
pub static LAYOUT: Layout = layout("Transmission Control Protocol", "RFC 9293, 3.1", LAYOUT_FIELDS).with(LAYOUT_EXTRA, length_and_options);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Uint, "tcp.srcport", "Source Port", 0, 2),
    field(Kind::Uint, "tcp.dstport", "Destination Port", 2, 2),
    field(Kind::Uint, "tcp.seq_raw", "Sequence Number (raw)", 4, 4),
    field(Kind::Uint, "tcp.ack_raw", "Acknowledgment Number (raw)", 8, 4),
    field(Kind::Uint, "tcp.hdr_len", "Header Length", 12, 1).mask(0xf0).times(4, "bytes"),
    field(Kind::Hex, "tcp.flags", "Flags", 12, 2).mask(0x0fff),
    field(Kind::Flag, "tcp.flags.cwr", "Congestion Window Reduced", 12, 2).mask(0x80),
    field(Kind::Flag, "tcp.flags.ece", "ECN-Echo", 12, 2).mask(0x40),
    field(Kind::Flag, "tcp.flags.urg", "Urgent", 12, 2).mask(0x20),
    field(Kind::Flag, "tcp.flags.ack", "Acknowledgment", 12, 2).mask(0x10),
    field(Kind::Flag, "tcp.flags.push", "Push", 12, 2).mask(0x08),
    field(Kind::Flag, "tcp.flags.reset", "Reset", 12, 2).mask(0x04),
    field(Kind::Flag, "tcp.flags.syn", "Syn", 12, 2).mask(0x02),
    field(Kind::Flag, "tcp.flags.fin", "Fin", 12, 2).mask(0x01),
    field(Kind::Uint, "tcp.window_size_value", "Window", 14, 2).unit("bytes, unscaled"),
    field(Kind::Hex, "tcp.checksum", "Checksum", 16, 2),
    field(Kind::Uint, "tcp.urgent_pointer", "Urgent Pointer", 18, 2),
];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Uint, "tcp.len", "TCP Segment Len", 0, 4).unit("bytes"),
    field(Kind::Uint, "tcp.options.mss_val", "MSS Value", 2, 2).unit("bytes"),
    field(Kind::Uint, "tcp.options.wscale.shift", "Shift count", 2, 1),
    field(Kind::Bytes, "tcp.options.sack_perm", "SACK permitted", 0, 2),
    field(Kind::Uint, "tcp.options.timestamp.tsval", "Timestamp value", 2, 4),
    field(Kind::Uint, "tcp.options.timestamp.tsecr", "Timestamp echo reply", 6, 4),
    field(Kind::Uint, "tcp.options.sack_le", "left edge", 2, 4),
    field(Kind::Uint, "tcp.options.sack_re", "right edge", 6, 4),
];

fn length_and_options(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    let [length, mss, shift, sack, tsval, tsecr, left, right] = LAYOUT_EXTRA else { return };
    let header_len = header.bytes.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4);
    if header_len < MIN_HEADER {
        return;
    }
    let carried = header.wire.saturating_sub(header_len) as u64;
    out.push(told(length, Value::Uint(carried), header.offset + 12, 1));
    let mut at = MIN_HEADER;
    while let Some(&kind) = header.bytes.get(at).filter(|_| at < header_len) {
        let len = match kind {
            0 => return,
            1 => 1,
            _ => header.bytes.get(at + 1).map_or(0, |&len| usize::from(len)),
        };
        if kind > 1 && len < 2 || at + len > header_len {
            return;
        }
        match (kind, len) {
            (2, 4) => out.extend(read(mss, header, at + 2)),
            (3, 3) => out.extend(read(shift, header, at + 2)),
            (4, 2) => out.extend(read(sack, header, at)),
            (8, 10) => out.extend([(tsval, 2), (tsecr, 6)].iter().filter_map(|(field, by)| read(field, header, at + by))),
            (5, _) => {
                for edge in (at + 2..(at + len).saturating_sub(7)).step_by(8) {
                    out.extend([(left, 0), (right, 4)].iter().filter_map(|(field, by)| read(field, header, edge + by)));
                }
            }
            _ => {}
        }
        at += len;
    }
}
