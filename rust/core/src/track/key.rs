//! What makes two packets one flow: capture point, VLAN tags, tunnel, addresses, ports and protocol.

use crate::decode::cursor::be16;
use crate::decode::{Of, Proto, arp_ipv4};
use crate::packet::{NONE, Packet, Tunnel};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The key of a bidirectional flow, its two ends in canonical order. Plain data: equal bytes, equal flow.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[repr(C)] // in this order its words are read as they stand
pub struct FlowKey {
    /// The end that sorts first.
    pub low: [u8; 16],
    /// The other end.
    pub high: [u8; 16],
    /// VLAN ids, packed: see [`pack_vlans`].
    pub vlans: u64,
    /// VXLAN or Geneve network identifier, or [`NONE`].
    pub vni: u32,
    /// What tells flows of one protocol apart beside ports: echo identifier, a hash of the flow that an ICMP error
    /// quotes, or [`PORTLESS`].
    pub extra: u32,
    /// Capture point: see [`super::Points`].
    pub point: u32,
    /// Ports of `low` and `high`; for ICMP what stands for them.
    pub ports: [u16; 2],
    /// Ethernet type, for flows without IP.
    pub ethertype: u16,
    /// IP protocol number.
    pub proto: u8,
    /// 4, 6, 0 for Ethernet addresses, 1 for ARP.
    pub family: u8,
    /// Tunnel kind.
    pub tunnel: Tunnel,
}

impl FlowKey {
    /// The key as four numbers: what is compared and hashed a packet is not compared field by field.
    #[inline]
    fn words(&self) -> [u128; 4] {
        let Self { low, high, vlans, vni, extra, ports, ethertype, point, proto, family, tunnel } = *self;
        let place = u64::from(extra) << 32 | u64::from(vni);
        let ends = u64::from(ports[1]) << 48 | u64::from(ports[0]) << 32 | u64::from(point);
        let kind = (tunnel as u64) << 32 | u64::from(family) << 24 | u64::from(proto) << 16 | u64::from(ethertype);
        [
            u128::from_ne_bytes(low),
            u128::from_ne_bytes(high),
            u128::from(vlans) << 64 | u128::from(place),
            u128::from(ends) << 64 | u128::from(kind),
        ]
    }
}

impl PartialEq for FlowKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // Without a branch and without a call of memcmp, which comparing arrays would be.
        self.words().iter().zip(&other.words()).fold(0, |differing, (own, other)| differing | (own ^ other)) == 0
    }
}

impl Eq for FlowKey {}

impl std::hash::Hash for FlowKey {
    #[inline]
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for word in self.words() {
            state.write_u128(word);
        }
    }
}

/// Family of a key whose ends are the IPv4 addresses that ARP speaks of.
pub const ARP: u8 = 1;

/// [`FlowKey::extra`] of TCP, UDP and SCTP whose ports cannot be known: not the same as port 0.
pub const PORTLESS: u32 = u32::MAX;

/// IP protocols whose header begins with two ports that are decoded.
#[must_use]
#[inline]
pub fn is_ported(proto: u8) -> bool {
    matches!(proto, 6 | 17 | 132)
}

/// VLAN ids as one number: the count, 15 at most, in the low 4 bits, then 12 bits each, outermost first. Beyond five tags, more
/// than any standard allows, the first two stand and the other bits are a mix of all. Tags with id 0 name no VLAN: they have a
/// priority alone (IEEE 802.1Q, table 9-2), which a reply need not have.
#[must_use]
#[inline]
pub fn pack_vlans(vlans: &[u16]) -> u64 {
    if vlans.is_empty() {
        return 0;
    }
    if vlans.contains(&0) {
        let named: SmallVec<[u16; 8]> = vlans.iter().copied().filter(|id| *id != 0).collect();
        return pack_vlans(&named);
    }
    let count = vlans.len().min(15) as u64;
    if vlans.len() <= 5 {
        return vlans.iter().rev().fold(0u64, |packed, id| (packed << 12) | u64::from(*id)) << 4 | count;
    }
    let mixed =
        vlans.iter().fold(0xcbf2_9ce4_8422_2325_u64, |mix, id| (mix ^ u64::from(*id)).wrapping_mul(0x0100_0000_01b3));
    mixed << 28 | u64::from(vlans[1]) << 16 | u64::from(vlans[0]) << 4 | count
}

/// The VLAN id at `index` (0 or 1) of packed tags, outermost first.
#[must_use]
pub fn vlan_at(packed: u64, index: u32) -> Option<u16> {
    (index < packed as u32 & 0xf).then(|| ((packed >> (4 + 12 * index)) & 0x0fff) as u16)
}

/// A packet's key, and whether its source is the key's `high` end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Keyed {
    /// The flow's key.
    pub key: FlowKey,
    /// The packet went from `high` to `low`.
    pub from_high: bool,
}

/// ICMP types that answer each other: (IP version, request, reply).
/// Source: <https://github.com/corelight/community-id-spec>, as Zeek pairs them.
const ICMP_PAIRS: [(u8, u8, u8); 11] = [
    (4, 8, 0),
    (4, 13, 14),
    (4, 15, 16),
    (4, 17, 18),
    (4, 10, 9),
    (6, 128, 129),
    (6, 130, 131),
    (6, 133, 134),
    (6, 135, 136),
    (6, 139, 140),
    (6, 144, 145),
];

/// The type that answers this one, or that this one answers; `None` for messages that go one way.
#[must_use]
pub fn icmp_counterpart(version: u8, icmp_type: u8) -> Option<u8> {
    let (_, request, reply) =
        ICMP_PAIRS.iter().find(|(of, a, b)| *of == version && (*a == icmp_type || *b == icmp_type))?;
    Some(if icmp_type == *request { *reply } else { *request })
}

/// What stands for the ports of an ICMP message in a key: type and counterpart, so that a request and its reply are one
/// flow and the same request the other way round is another; else type and code, which no message answers.
fn icmp_ports(version: u8, icmp_type: u8, icmp_code: u8) -> (u16, u16) {
    let answer = icmp_counterpart(version, icmp_type).map_or(0x100 | u16::from(icmp_code), u16::from);
    (u16::from(icmp_type), answer)
}

/// The message has an identifier that tells conversations apart (RFC 792; RFC 4443, 4).
fn has_identifier(version: u8, icmp_type: u8) -> bool {
    matches!((version, icmp_type), (4, 0 | 8 | 13..=18) | (6, 128 | 129))
}

/// The key of a decoded frame; `None` if it has neither IP, ARP nor Ethernet addresses.
#[must_use]
pub fn of_packet(packet: &Packet, frame: &[u8], point: u32) -> Option<Keyed> {
    let mut keyed = Keyed::default();
    write_of_packet(packet, frame, point, &mut keyed).then_some(keyed)
}

/// The same, written to where it is to stand; `false` if there is none.
#[inline(always)]
pub fn write_of_packet(packet: &Packet, frame: &[u8], point: u32, to: &mut Keyed) -> bool {
    if packet.layers().is_empty() {
        return false; // a link type that is not decoded, or a frame of another worker's share
    }
    let key = &mut to.key;
    key.vlans = pack_vlans(packet.vlans());
    (key.vni, key.extra, key.point) = (packet.vni, 0, point);
    (key.ethertype, key.proto, key.family, key.tunnel) = (0, 0, packet.ip_version, packet.tunnel);
    // ARP or another Ethernet type inside a tunnel: the IP header that the packet knows is the tunnel's.
    let inner = if packet.arp != NONE { packet.arp } else { packet.eth };
    if packet.ip_version != 0 && (inner == NONE || inner < packet.ip) {
        key.proto = packet.ip_proto;
        let (mut src_port, mut dst_port) = (packet.src_port, packet.dst_port);
        if !packet.has_ports {
            (src_port, dst_port) = (0, 0);
            if is_ported(packet.ip_proto) {
                key.extra = PORTLESS;
            }
        }
        if packet.has_icmp {
            (src_port, dst_port) = icmp_ports(packet.ip_version, packet.icmp_type, packet.icmp_code);
            key.extra = icmp_extra(packet, frame);
        }
        to.order(packet.ip_src, packet.ip_dst, src_port, dst_port);
        return true;
    }
    let link = of_link(to.key, packet, frame);
    *to = link.unwrap_or_default();
    link.is_some()
}

/// The key of a frame without IP, as far as it is known.
#[inline(never)]
fn of_link(mut key: FlowKey, packet: &Packet, frame: &[u8]) -> Option<Keyed> {
    key.family = 0;
    if let Some((own, asked)) = arp_ends(packet, frame) {
        key.family = ARP;
        key.ethertype = 0x0806;
        let (mut sender, mut target) = ([0; 16], [0; 16]);
        sender[..4].copy_from_slice(&own);
        target[..4].copy_from_slice(&asked);
        return Some(order(key, sender, target, 0, 0));
    }
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    if packet.eth == NONE {
        // Cooked captures name the sender alone; PPP and the like name nobody.
        if packet.network_type == 0 {
            return None;
        }
        src[..6].copy_from_slice(&cooked_source(packet, frame).unwrap_or_default());
        key.ethertype = packet.network_type;
        return Some(order(key, src, dst, 0, 0));
    }
    let at = packet.eth as usize;
    let header = frame.get(at..at + 12)?;
    key.ethertype = beyond_ethernet(packet, frame);
    src[..6].copy_from_slice(&header[6..12]);
    dst[..6].copy_from_slice(&header[..6]);
    Some(order(key, src, dst, 0, 0))
}

/// The IPv4 addresses that an ARP packet speaks of; `None` if there are none.
fn arp_ends(packet: &Packet, frame: &[u8]) -> Option<([u8; 4], [u8; 4])> {
    if packet.arp == NONE {
        return None;
    }
    let body = frame.get(packet.arp as usize..)?;
    Some((arp_ipv4(body, Of::Sender)?, arp_ipv4(body, Of::Target)?))
}

/// The sender's hardware address in a Linux cooked header, if it has six bytes (LINKTYPE_LINUX_SLL and its version 2).
#[must_use]
pub fn cooked_source(packet: &Packet, frame: &[u8]) -> Option<[u8; 6]> {
    let (length, at) = match packet.layers().first()?.proto() {
        Proto::Sll => (be16(frame, 4), 6),
        Proto::Sll2 => (u16::from(*frame.get(11)?), 12),
        _ => return None,
    };
    frame.get(at..)?.first_chunk::<6>().copied().filter(|_| length == 6)
}

/// What the innermost Ethernet header carries: an Ethernet type; behind LLC the type or identifier of SNAP, else the DSAP,
/// so that STP and others between the same stations stay apart.
fn beyond_ethernet(packet: &Packet, frame: &[u8]) -> u16 {
    let llc = packet.layers().iter().rev().find(|layer| layer.proto() == Proto::Llc).map(|layer| layer.offset());
    let Some(llc) = llc.filter(|at| *at > packet.eth as usize) else {
        return if packet.has_eth_type { packet.network_type } else { 0 };
    };
    let dsap = frame.get(llc).map_or(0, |dsap| u16::from(*dsap));
    Some(be16(frame, llc + 6)).filter(|kind| dsap == 0xaa && *kind >= 0x0600).unwrap_or(dsap)
}

/// A key with its two ends in canonical order.
#[must_use]
pub fn order(key: FlowKey, src: [u8; 16], dst: [u8; 16], src_port: u16, dst_port: u16) -> Keyed {
    let mut keyed = Keyed { key, from_high: false };
    keyed.order(src, dst, src_port, dst_port);
    keyed
}

impl Keyed {
    /// Puts the two ends into the key, in canonical order.
    #[inline]
    fn order(&mut self, src: [u8; 16], dst: [u8; 16], src_port: u16, dst_port: u16) {
        let (a, b) = (u128::from_be_bytes(src), u128::from_be_bytes(dst));
        let from_high = (a, src_port) > (b, dst_port);
        // Without a branch: no processor foresees which end sends.
        let swap = 0u128.wrapping_sub(u128::from(from_high));
        let (src, dst) = (u128::from_ne_bytes(src), u128::from_ne_bytes(dst));
        let differing = (src ^ dst) & swap;
        self.key.low = (src ^ differing).to_ne_bytes();
        self.key.high = (dst ^ differing).to_ne_bytes();
        let differing = (src_port ^ dst_port) & swap as u16;
        self.key.ports = [src_port ^ differing, dst_port ^ differing];
        self.from_high = from_high;
    }
}

/// Echo-like messages: identifier. Errors: a hash of the flow that they quote, so that errors of different flows are
/// different rows and each knows the one it speaks of.
fn icmp_extra(packet: &Packet, frame: &[u8]) -> u32 {
    let at = packet.transport as usize;
    let Some(header) = frame.get(at..at + 8) else { return 0 };
    if let Some(quoted) = quoted(packet, frame, 0) {
        let k = quoted.key;
        let ends = k
            .low
            .iter()
            .chain(&k.high)
            .fold(0x811c_9dc5_u32, |mix, byte| (mix ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        let rest = k.extra.rotate_left(8) ^ u32::from(k.proto);
        return ends ^ (u32::from(k.ports[0]) << 16 | u32::from(k.ports[1])) ^ rest;
    }
    if has_identifier(packet.ip_version, packet.icmp_type) { u32::from(be16(header, 4)) } else { 0 }
}

/// The key of the packet that an ICMP error quotes, as that packet would have had it at the same capture point.
#[must_use]
pub fn quoted(packet: &Packet, frame: &[u8], point: u32) -> Option<Keyed> {
    if packet.quoted_ip == NONE {
        return None;
    }
    let header = frame.get(packet.quoted_ip as usize..)?;
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    let (proto, transport, family) = match header.first()? >> 4 {
        4 => {
            src[..4].copy_from_slice(header.get(12..16)?);
            dst[..4].copy_from_slice(header.get(16..20)?);
            if be16(header, 6) & 0x1fff != 0 {
                return None;
            }
            let (proto, transport) = behind_extensions(header, header[9], usize::from(header[0] & 0x0f) * 4)?;
            (proto, transport, 4)
        }
        6 => {
            src.copy_from_slice(header.get(8..24)?);
            dst.copy_from_slice(header.get(24..40)?);
            let (proto, transport) = behind_extensions(header, *header.get(6)?, 40)?;
            (proto, transport, 6)
        }
        _ => return None,
    };
    let mut key = FlowKey {
        low: src,
        high: dst,
        vlans: pack_vlans(packet.vlans()),
        vni: packet.vni,
        extra: 0,
        ports: [0; 2],
        ethertype: 0,
        point,
        proto,
        family,
        tunnel: packet.tunnel,
    };
    let mut ports = (0, 0);
    match proto {
        _ if is_ported(proto) && header.len() < transport + 4 => key.extra = PORTLESS,
        _ if is_ported(proto) => ports = (be16(header, transport), be16(header, transport + 2)),
        1 | 58 => {
            let icmp = header.get(transport..)?;
            let (kind, code) = (*icmp.first()?, *icmp.get(1)?);
            ports = icmp_ports(family, kind, code);
            key.extra = u32::from(be16(icmp, 4)) * u32::from(has_identifier(family, kind));
        }
        _ => {}
    }
    Some(order(key, src, dst, ports.0, ports.1))
}

/// Protocol and offset of what follows the extension headers of a quoted IPv6 header (RFC 8200, 4.1) and the authentication
/// header of either version, the first of which is `proto` at `at`; `None` behind a fragment other than the first.
fn behind_extensions(header: &[u8], mut proto: u8, mut at: usize) -> Option<(u8, usize)> {
    const MAX_EXTENSIONS: usize = 8;
    for _ in 0..MAX_EXTENSIONS {
        let length = match proto {
            0 | 43 | 60 => (usize::from(*header.get(at + 1)?) + 1) * 8,
            44 if be16(header, at + 2) & 0xfff8 == 0 => 8,
            44 => return None,
            51 => (usize::from(*header.get(at + 1)?) + 2) * 4,
            _ => return Some((proto, at)),
        };
        proto = *header.get(at)?;
        at += length;
    }
    None
}
