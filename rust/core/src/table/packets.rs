//! The `packets` table: one row a frame, every column declared once.

use super::column::{Column, Table};
use super::sink::{Sink, every};
use crate::decode::{Of, arp_hardware, arp_ipv4};
use crate::frame::{Direction, FrameBatch, FrameMeta};
use crate::packet::{NONE, Packet};
use crate::pipeline::Decoded;
use crate::track::Uid;
use std::io::Write as _;

/// A run of decoded frames.
pub struct Rows<'a> {
    batch: &'a FrameBatch,
    frames: &'a [FrameMeta],
    /// What each says.
    packets: &'a [Packet],
    there: &'a [There],
}

/// Which of 64 packets have what columns are made of: a bit each, the first in the lowest.
#[derive(Default)]
pub struct There {
    eth_type: u64,
    eth: u64,
    tunnel: u64,
    vni: u64,
    ip: u64,
    ip_id: u64,
    ports: u64,
    tcp: u64,
    icmp: u64,
    arp: u64,
    payload: u64,
}

impl There {
    /// What the packets of a batch have; columns that share a condition ask for it once.
    #[must_use]
    pub fn of(decoded: &Decoded) -> Vec<Self> {
        decoded.packets().chunks(Self::PACKETS).map(Self::of_few).collect()
    }

    /// Packets of which one of these tells.
    pub const PACKETS: usize = 64;

    fn of_few(packets: &[Packet]) -> Self {
        let mut there = Self::default();
        for (at, p) in packets.iter().enumerate() {
            let is_there = |is: bool| u64::from(is) << at;
            there.eth_type |= is_there(p.eth != NONE && p.has_eth_type);
            there.tunnel |= is_there(p.outer_ip != NONE && p.outer_ip != p.ip);
            there.eth |= is_there(p.eth != NONE);
            there.vni |= is_there(p.vni != NONE);
            there.ip |= is_there(p.ip_version != 0);
            there.ip_id |= is_there(has_id(p));
            there.ports |= is_there(p.has_ports);
            there.tcp |= is_there(p.has_tcp);
            there.icmp |= is_there(p.has_icmp);
            there.arp |= is_there(p.arp != NONE);
            there.payload |= is_there(p.payload != NONE);
        }
        there
    }
}

/// The column that needs flows: empty until it is known which they are.
pub const UID: &str = "uid";

/// The columns whose values are looked up for each row, since there are many different ones.
pub const ADDRESSES: [&str; 4] = ["eth_src", "eth_dst", "ip_src", "ip_dst"];

/// The table of packets.
pub struct Packets;

impl Table for Packets {
    type Rows<'a> = Rows<'a>;
}

impl<'a> Rows<'a> {
    /// Every frame of a batch, with what [`There::of`] says.
    #[must_use]
    pub fn new(decoded: &'a Decoded, there: &'a [There]) -> Self {
        Self { batch: &decoded.batch, frames: &decoded.batch.frames, packets: decoded.packets(), there }
    }

    /// The same in pieces: what was decoded of one stays in the cache for all columns.
    pub fn pieces(&self) -> impl Iterator<Item = Self> {
        const SIZE: usize = There::PACKETS;
        let batch = self.batch;
        let pieces = self.frames.chunks(SIZE).zip(self.packets.chunks(SIZE)).zip(self.there.chunks(1));
        pieces.map(move |((frames, packets), there)| Self { batch, frames, packets, there })
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    fn iter(&self) -> std::slice::Iter<'a, Packet> {
        self.packets.iter()
    }

    /// A packet and the bytes of its frame.
    fn both(&self, at: usize) -> (&'a Packet, &'a [u8]) {
        (&self.packets[at], self.batch.bytes(&self.frames[at]))
    }

    fn metas(&self) -> std::slice::Iter<'a, FrameMeta> {
        self.frames.iter()
    }
}

/// Declares one column: what puts it into a [`Sink`].
macro_rules! column {
    ($name:literal, $kind:ident, $doc:literal, $put:expr) => {
        super::sink::declare!(Packets, $name, $kind, $doc, $put)
    };
}

/// A number that is there only under a condition.
macro_rules! number {
    ($name:literal, $kind:ident, $when:ident, $get:expr, $doc:literal) => {
        column!($name, $kind, $doc, |r, to| to.present(r.packets, r.there.iter().map(|there| there.$when), $get))
    };
}

/// A number that every frame has.
macro_rules! dense {
    ($name:literal, $kind:ident, $get:expr, $doc:literal) => {
        column!($name, $kind, $doc, |r, to| to.present(r.frames, every(r.len()), $get))
    };
}

/// `N` bytes at `offset` behind the header that starts at `at`.
fn field<const N: usize>(frame: &[u8], at: u32, offset: usize) -> Option<[u8; N]> {
    if at == NONE {
        return None;
    }
    frame.get(at as usize + offset..)?.first_chunk::<N>().copied()
}

fn mac<S: Sink>(
    rows: &Rows<'_>,
    there: fn(&There) -> u64,
    header: fn(&Packet) -> u32,
    offset: usize,
    sink: S,
) -> S::Out {
    sink.macs(rows.len(), rows.there.iter().map(there), |at| {
        let (packet, frame) = rows.both(at);
        field(frame, header(packet), offset)
    })
}

fn arp_hw<S: Sink>(rows: &Rows<'_>, of: Of, sink: S) -> S::Out {
    sink.macs(rows.len(), rows.there.iter().map(|there| there.arp), |at| {
        let (packet, frame) = rows.both(at);
        arp_hardware(frame.get(packet.arp as usize..)?, of)
    })
}

fn arp_ip<S: Sink>(rows: &Rows<'_>, of: Of, sink: S) -> S::Out {
    sink.addresses(rows.len(), rows.there.iter().map(|there| there.arp), |at| {
        let (packet, frame) = rows.both(at);
        arp_ipv4(frame.get(packet.arp as usize..)?, of).map(ipv4)
    })
}

/// An IPv4 address as [`Sink::addresses`] takes it.
fn ipv4(bytes: [u8; 4]) -> (u8, u128) {
    (4, u128::from(u32::from_be_bytes(bytes)) << 96)
}

fn ip<S: Sink>(rows: &Rows<'_>, get: fn(&Packet) -> &[u8; 16], sink: S) -> S::Out {
    sink.addresses(rows.len(), rows.there.iter().map(|there| there.ip), |at| {
        let packet = &rows.packets[at];
        Some((packet.ip_version, u128::from_be_bytes(*get(packet))))
    })
}

/// An address of the outermost IP header, if that is not the innermost.
fn outer<S: Sink>(rows: &Rows<'_>, source: bool, sink: S) -> S::Out {
    sink.addresses(rows.len(), rows.there.iter().map(|there| there.tunnel), |at| {
        let (packet, frame) = rows.both(at);
        if frame.get(packet.outer_ip as usize)? >> 4 == 4 {
            field(frame, packet.outer_ip, if source { 12 } else { 16 }).map(ipv4)
        } else {
            field(frame, packet.outer_ip, if source { 8 } else { 24 }).map(|bytes| (6, u128::from_be_bytes(bytes)))
        }
    })
}

/// The layers of a packet: in one number while they are few, since each row's are looked up.
#[derive(PartialEq, Eq, Hash)]
enum Stack {
    Few(u128),
    Many(Vec<u8>),
}

/// The stack as text. Traffic has few different stacks, so each is written once a batch.
fn protocols<S: Sink>(rows: &Rows<'_>, sink: S) -> S::Out {
    const FEW: usize = 16;
    sink.dictionary(
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

fn interface<S: Sink>(rows: &Rows<'_>, get: fn(&crate::frame::InterfaceInfo) -> Option<&str>, sink: S) -> S::Out {
    sink.names(rows.metas().map(|meta| rows.batch.interfaces.get(meta.interface as usize).and_then(|info| get(info))))
}

fn direction<S: Sink>(rows: &Rows<'_>, sink: S) -> S::Out {
    sink.names(rows.metas().map(|meta| match meta.direction {
        Direction::Unknown => None,
        Direction::In => Some("in"),
        Direction::Out => Some("out"),
    }))
}

/// The `uid` column.
pub(super) fn uids<S: Sink>(values: impl ExactSizeIterator<Item = Option<Uid>>, sink: S) -> S::Out {
    sink.dictionary(values, |uid, out| uid.write(out))
}

fn malformed<S: Sink>(rows: &Rows<'_>, sink: S) -> S::Out {
    sink.texts(rows.iter(), |packet, out| match &packet.malformed {
        Some(what) => write!(out, "{what}").is_ok(),
        None => false,
    })
}

/// IPv4 always has an identification, offset and flag; IPv6 only in a fragment header.
fn has_id(packet: &Packet) -> bool {
    packet.ip_version == 4 || packet.has_fragment_header()
}

fn arp_opcode<S: Sink>(rows: &Rows<'_>, sink: S) -> S::Out {
    let frames = rows.packets.iter().zip(rows.frames).map(|(packet, meta)| (packet, rows.batch.bytes(meta)));
    sink.numbers(frames.map(|(packet, frame)| field(frame, packet.arp, 6).map(u16::from_be_bytes)))
}

/// The columns in their order. The contract fixes the names.
pub static COLUMNS: &[Column<Packets>] = &[
    dense!("frame_number", U64, |m| m.number, "Position in the input, from 1."),
    column!("ts", Time, "Capture time; null where the file records none (pcapng simple packet blocks).", |r, to| {
        to.times(r.metas().map(|m| (!m.ts_missing).then_some(m.ts)))
    }),
    column!("netns", Dict, "Network namespace of the capture point; null when the capture does not say.", |r, to| {
        interface(r, |info| info.netns.as_deref(), to)
    }),
    column!("interface", Dict, "Interface name; null when the capture does not say.", |r, to| {
        interface(r, |info| info.name.as_deref(), to)
    }),
    column!("direction", Dict, "in or out, as the interface saw it; null when the capture does not say.", direction),
    dense!("frame_len", U32, |m| m.frame_len, "Length on the wire, bytes."),
    dense!("cap_len", U32, |m| m.cap_len, "Captured length, bytes."),
    column!("protocols", Dict, "The stack as decoded, Wireshark's names joined by colons.", protocols),
    column!("eth_src", Dict, "Source of the innermost Ethernet header.", |r, to| mac(
        r,
        |there| there.eth,
        |p| p.eth,
        6,
        to
    )),
    column!("eth_dst", Dict, "Destination of the innermost Ethernet header.", |r, to| mac(
        r,
        |there| there.eth,
        |p| p.eth,
        0,
        to
    )),
    number!(
        "eth_type",
        U16,
        eth_type,
        |p| p.eth_type,
        "Type of the innermost Ethernet header (0x8100 when a tag follows); null for 802.3 length frames."
    ),
    column!("vlan_id", ListU16, "Every VLAN id of the frame in wire order; null without tags.", |r, to| to
        .lists(r.iter().map(Packet::vlans))),
    number!(
        "vxlan_vni",
        U32,
        vni,
        |p| p.vni,
        "Network identifier of the innermost VXLAN or Geneve header (RFC 7348, RFC 8926)."
    ),
    number!("ip_version", U8, ip, |p| p.ip_version, "4 or 6: innermost IP header that was really sent."),
    column!("ip_src", Dict, "Source of that header.", |r, to| ip(r, |p| &p.ip_src, to)),
    column!(
        "ip_dst",
        Dict,
        "Destination of that header, as it stands there; tshark shows the end of a source route instead.",
        |r, to| ip(r, |p| &p.ip_dst, to)
    ),
    column!("outer_ip_src", Dict, "Source of the outermost IP header of a tunnel; null outside.", |r, to| outer(
        r, true, to
    )),
    column!("outer_ip_dst", Dict, "Destination of the outermost IP header of a tunnel; null outside.", |r, to| {
        outer(r, false, to)
    }),
    number!("ip_proto", U8, ip, |p| p.ip_proto, "Protocol, extension headers skipped (RFC 8200, 4)."),
    number!("ip_ttl", U8, ip, |p| p.ip_ttl, "Time to live or hop limit."),
    number!("ip_id", U32, ip_id, |p| p.ip_id, "Identification; for IPv6 only with a fragment header."),
    number!(
        "ip_frag_offset",
        U16,
        ip_id,
        |p| p.ip_frag_offset,
        "Fragment offset, bytes; for IPv6 only with a fragment header."
    ),
    column!("ip_more_fragments", Bool, "More fragments follow; for IPv6 only with a fragment header.", |r, to| to
        .booleans(r.iter().map(|p| has_id(p).then_some(p.ip_more_fragments)))),
    number!("src_port", U16, ports, |p| p.src_port, "Source port, where this frame carries it."),
    number!("dst_port", U16, ports, |p| p.dst_port, "Destination port, likewise."),
    number!("tcp_flags", U16, tcp, |p| p.tcp_flags, "The 12 flag bits (RFC 9293, 3.1)."),
    number!("tcp_seq", U32, tcp, |p| p.tcp_seq, "Sequence number, raw."),
    number!("tcp_ack", U32, tcp, |p| p.tcp_ack, "Acknowledgment number, raw."),
    number!("tcp_window", U16, tcp, |p| p.tcp_window, "Window as in the header, unscaled."),
    number!("icmp_type", U8, icmp, |p| p.icmp_type, "ICMP or ICMPv6 type."),
    number!("icmp_code", U8, icmp, |p| p.icmp_code, "ICMP or ICMPv6 code."),
    column!("arp_opcode", U16, "1 request, 2 reply (RFC 826).", arp_opcode),
    column!("arp_src_hw", Dict, "Sender hardware address, if it has six bytes.", |r, to| arp_hw(r, Of::Sender, to)),
    column!("arp_src_ip", Dict, "Sender protocol address, if it is IPv4.", |r, to| arp_ip(r, Of::Sender, to)),
    column!("arp_dst_hw", Dict, "Target hardware address, likewise.", |r, to| arp_hw(r, Of::Target, to)),
    column!("arp_dst_ip", Dict, "Target protocol address, likewise.", |r, to| arp_ip(r, Of::Target, to)),
    number!(
        "payload_len",
        U32,
        payload,
        |p| p.payload_len,
        "Bytes that the innermost transport (or IP) header carries, on the wire."
    ),
    column!("uid", Dict, "The flow's uid; null for frames that belong to none.", |r, to| uids(
        r.iter().map(|_| None),
        to
    )),
    column!("malformed", Text, "Layer, offset and reason where decoding stopped; null when all went well.", malformed),
];
