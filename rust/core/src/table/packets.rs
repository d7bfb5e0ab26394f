//! The `packets` table: one row a frame, every column declared once.

use super::column::{
    Column, Fill, Kind, Table, dense, dictionary, lists, names, numbers, text, times, write_ip, write_mac,
};
use crate::decode::cursor::be16;
use crate::frame::{Direction, FrameBatch, FrameMeta};
use crate::packet::{NONE, Packet};
use crate::track::Uid;
use arrow_array::ArrayRef;
use arrow_array::types::{UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use std::fmt::Write as _;

/// A run of decoded frames.
pub struct Rows<'a> {
    /// The frames.
    pub batch: &'a FrameBatch,
    /// What each says.
    pub packets: &'a [Packet],
    /// Which flow each belongs to; empty when nobody asked.
    pub uids: &'a [Option<Uid>],
}

/// The table of packets.
pub struct Packets;

impl Table for Packets {
    type Rows<'a> = Rows<'a>;
}

impl<'a> Rows<'a> {
    fn iter(&self) -> std::slice::Iter<'a, Packet> {
        self.packets.iter()
    }

    fn both(&self) -> impl ExactSizeIterator<Item = (&'a Packet, &'a [u8])> + use<'a> {
        let batch = self.batch;
        self.packets.iter().zip(&batch.frames).map(move |(packet, meta)| (packet, batch.bytes(meta)))
    }

    fn metas(&self) -> std::slice::Iter<'a, FrameMeta> {
        self.batch.frames.iter()
    }
}

macro_rules! column {
    ($name:literal, $kind:ident, $doc:literal, $fill:expr) => {
        Column { name: $name, kind: Kind::$kind, doc: $doc, fill: $fill, direct: None }
    };
}

/// A number that is there only under a condition.
macro_rules! number {
    ($name:literal, $kind:ident, $ty:ty, $when:expr, $get:expr, $doc:literal) => {
        column!($name, $kind, $doc, |rows| numbers::<$ty, _>(rows.iter().map(|p| {
            let when: fn(&Packet) -> bool = $when;
            let get: fn(&Packet) -> _ = $get;
            when(p).then(|| get(p))
        })))
    };
}

/// `N` bytes at `offset` behind the header that starts at `at`.
fn field<const N: usize>(frame: &[u8], at: u32, offset: usize) -> Option<[u8; N]> {
    if at == NONE {
        return None;
    }
    frame.get(at as usize + offset..)?.first_chunk::<N>().copied()
}

fn mac(rows: &Rows<'_>, header: fn(&Packet) -> u32, offset: usize) -> ArrayRef {
    dictionary(rows.both().map(|(p, frame)| field::<6>(frame, header(p), offset)), write_mac)
}

fn arp_ip(rows: &Rows<'_>, offset: usize) -> ArrayRef {
    dictionary(rows.both().map(|(p, frame)| field::<4>(frame, p.arp, offset)), |bytes, out| {
        let [a, b, c, d] = bytes;
        write!(out, "{a}.{b}.{c}.{d}").unwrap_or_default();
    })
}

fn ip(rows: &Rows<'_>, get: fn(&Packet) -> &[u8; 16]) -> ArrayRef {
    // As numbers, which hash faster than arrays.
    let addresses = rows.iter().map(|p| (p.ip_version != 0).then(|| (p.ip_version, u128::from_be_bytes(*get(p)))));
    dictionary(addresses, |(family, address), out| write_ip(*family, &address.to_be_bytes(), out))
}

/// An address of the outermost IP header, if that is not the innermost.
fn outer(rows: &Rows<'_>, source: bool) -> ArrayRef {
    dictionary(
        rows.both().map(|(p, frame)| {
            if p.outer_ip == NONE || p.outer_ip == p.ip {
                return None;
            }
            let header = frame.get(p.outer_ip as usize..)?;
            let mut bytes = [0; 16];
            if header.first()? >> 4 == 4 {
                bytes[..4].copy_from_slice(header.get(if source { 12..16 } else { 16..20 })?);
                Some((4, bytes))
            } else {
                bytes.copy_from_slice(header.get(if source { 8..24 } else { 24..40 })?);
                Some((6, bytes))
            }
        }),
        |(family, bytes), out| write_ip(*family, bytes, out),
    )
}

/// The layers of a packet: in one number while they are few, since each row's are looked up.
#[derive(PartialEq, Eq, Hash)]
enum Stack {
    Few(u128),
    Many(Vec<u8>),
}

/// The stack as text. Traffic has few different stacks, so each is written once a batch.
fn protocols(rows: &Rows<'_>) -> ArrayRef {
    const FEW: usize = 16;
    dictionary(
        rows.iter().map(|packet| {
            let layers = packet.layers();
            let stack = layers.iter().rev().map(|layer| layer.proto() as u8);
            match layers.len() {
                0 => None,
                // One more than the number, so that no layer is zero.
                1..=FEW => Some(Stack::Few(stack.fold(0, |all, proto| all << 8 | (u128::from(proto) + 1)))),
                _ => Some(Stack::Many(stack.rev().collect())),
            }
        }),
        |stack, out| {
            let few;
            let protos = match stack {
                Stack::Few(all) => {
                    few = all.to_le_bytes().map(|proto| proto.wrapping_sub(1));
                    &few[..FEW - all.leading_zeros() as usize / 8]
                }
                Stack::Many(protos) => protos,
            };
            for (i, proto) in protos.iter().enumerate() {
                if i > 0 {
                    out.push(':');
                }
                out.push_str(crate::decode::Proto::from_index(*proto).name());
            }
        },
    )
}

fn interface(rows: &Rows<'_>, get: fn(&crate::frame::InterfaceInfo) -> Option<&str>) -> ArrayRef {
    names(rows.metas().map(|meta| rows.batch.interfaces.get(meta.interface as usize).and_then(|info| get(info))))
}

fn direction(rows: &Rows<'_>) -> ArrayRef {
    names(rows.metas().map(|meta| match meta.direction {
        Direction::Unknown => None,
        Direction::In => Some("in"),
        Direction::Out => Some("out"),
    }))
}

fn uid(rows: &Rows<'_>) -> ArrayRef {
    uids((0..rows.packets.len()).map(|i| rows.uids.get(i).copied().flatten()))
}

/// The `uid` column.
pub fn uids(values: impl ExactSizeIterator<Item = Option<Uid>>) -> ArrayRef {
    dictionary(values, |uid, out| uid.write(out))
}

fn malformed(rows: &Rows<'_>) -> ArrayRef {
    text(rows.iter(), |packet, out| match &packet.malformed {
        Some(what) => write!(out, "{what}").is_ok(),
        None => false,
    })
}

fn payload(rows: &Rows<'_>) -> ArrayRef {
    numbers::<UInt32Type, _>(rows.iter().map(|p| (p.payload != NONE).then_some(p.payload_len)))
}

fn has_ip(packet: &Packet) -> bool {
    packet.ip_version != 0
}

/// IPv4 always has an identification, offset and flag; IPv6 only in fragments.
fn has_id(packet: &Packet) -> bool {
    packet.ip_version == 4 || packet.ip_version == 6 && packet.is_fragment
}

const ARP_OPCODE: Fill<Packets> =
    |rows| numbers::<UInt16Type, _>(rows.both().map(|(p, frame)| field::<2>(frame, p.arp, 6).map(|b| be16(&b, 0))));

/// The columns in their order. The contract fixes the names.
pub static COLUMNS: &[Column<Packets>] = &[
    column!("frame_number", U64, "Position in the input, from 1.", |r| dense::<UInt64Type, _>(
        r.metas().map(|m| m.number)
    )),
    column!("ts", Time, "Capture time; null where the file records none (pcapng simple packet blocks).", |r| {
        times(r.metas().map(|m| (!m.ts_missing).then_some(m.ts)))
    }),
    column!("netns", Dict, "Network namespace of the capture point; null when the capture does not say.", |r| {
        interface(r, |info| info.netns.as_deref())
    }),
    column!("interface", Dict, "Interface name; null when the capture does not say.", |r| {
        interface(r, |info| info.name.as_deref())
    }),
    column!("direction", Dict, "in or out, as the interface saw it; null when the capture does not say.", direction),
    column!("frame_len", U32, "Length on the wire, bytes.", |r| dense::<UInt32Type, _>(r.metas().map(|m| m.frame_len))),
    column!("cap_len", U32, "Captured length, bytes.", |r| dense::<UInt32Type, _>(r.metas().map(|m| m.cap_len))),
    column!("protocols", Dict, "The stack as decoded, Wireshark's names joined by colons.", protocols),
    column!("eth_src", Dict, "Source of the innermost Ethernet header.", |r| mac(r, |p| p.eth, 6)),
    column!("eth_dst", Dict, "Destination of the innermost Ethernet header.", |r| mac(r, |p| p.eth, 0)),
    number!(
        "eth_type",
        U16,
        UInt16Type,
        |p| p.eth != NONE && p.has_eth_type,
        |p| p.eth_type,
        "Type of the innermost Ethernet header (0x8100 when a tag follows); null for 802.3 length frames."
    ),
    column!("vlan_id", ListU16, "Every VLAN id of the frame in wire order; null without tags.", |r| lists(
        r.iter().map(Packet::vlans)
    )),
    number!(
        "vxlan_vni",
        U32,
        UInt32Type,
        |p| p.vni != NONE,
        |p| p.vni,
        "Network identifier of the innermost VXLAN or Geneve header (RFC 7348, RFC 8926)."
    ),
    number!("ip_version", U8, UInt8Type, has_ip, |p| p.ip_version, "4 or 6: innermost IP header that was really sent."),
    column!("ip_src", Dict, "Source of that header.", |r| ip(r, |p| &p.ip_src)),
    column!("ip_dst", Dict, "Destination of that header.", |r| ip(r, |p| &p.ip_dst)),
    column!("outer_ip_src", Dict, "Source of the outermost IP header of a tunnel; null outside.", |r| outer(r, true)),
    column!("outer_ip_dst", Dict, "Destination of the outermost IP header of a tunnel; null outside.", |r| {
        outer(r, false)
    }),
    number!("ip_proto", U8, UInt8Type, has_ip, |p| p.ip_proto, "Protocol, extension headers skipped (RFC 8200, 4)."),
    number!("ip_ttl", U8, UInt8Type, has_ip, |p| p.ip_ttl, "Time to live or hop limit."),
    number!("ip_id", U32, UInt32Type, has_id, |p| p.ip_id, "Identification; for IPv6 only in fragments."),
    number!(
        "ip_frag_offset",
        U16,
        UInt16Type,
        has_id,
        |p| p.ip_frag_offset,
        "Fragment offset, bytes; for IPv6 only in fragments."
    ),
    column!("ip_more_fragments", Bool, "More fragments follow; for IPv6 only in fragments.", |r| std::sync::Arc::new(
        r.iter().map(|p| has_id(p).then_some(p.ip_more_fragments)).collect::<arrow_array::BooleanArray>()
    )),
    number!("src_port", U16, UInt16Type, |p| p.has_ports, |p| p.src_port, "Source port, where this frame carries it."),
    number!("dst_port", U16, UInt16Type, |p| p.has_ports, |p| p.dst_port, "Destination port, likewise."),
    number!("tcp_flags", U16, UInt16Type, |p| p.has_tcp, |p| p.tcp_flags, "The 12 flag bits (RFC 9293, 3.1)."),
    number!("tcp_seq", U32, UInt32Type, |p| p.has_tcp, |p| p.tcp_seq, "Sequence number, raw."),
    number!("tcp_ack", U32, UInt32Type, |p| p.has_tcp, |p| p.tcp_ack, "Acknowledgment number, raw."),
    number!("tcp_window", U16, UInt16Type, |p| p.has_tcp, |p| p.tcp_window, "Window as in the header, unscaled."),
    number!("icmp_type", U8, UInt8Type, |p| p.has_icmp, |p| p.icmp_type, "ICMP or ICMPv6 type."),
    number!("icmp_code", U8, UInt8Type, |p| p.has_icmp, |p| p.icmp_code, "ICMP or ICMPv6 code."),
    column!("arp_opcode", U16, "1 request, 2 reply (RFC 826).", ARP_OPCODE),
    column!("arp_src_hw", Dict, "Sender hardware address.", |r| mac(r, |p| p.arp, 8)),
    column!("arp_src_ip", Dict, "Sender protocol address.", |r| arp_ip(r, 14)),
    column!("arp_dst_hw", Dict, "Target hardware address.", |r| mac(r, |p| p.arp, 18)),
    column!("arp_dst_ip", Dict, "Target protocol address.", |r| arp_ip(r, 24)),
    column!("payload_len", U32, "Bytes that the innermost transport (or IP) header carries, on the wire.", payload),
    column!("uid", Dict, "The flow's uid; null for frames that belong to none.", uid),
    column!("malformed", Text, "Layer, offset and reason where decoding stopped; null when all went well.", malformed),
];
