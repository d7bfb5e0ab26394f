//! ARP and Neighbor Discovery messages in one shape.

use super::{Ip, Mac, Segment, is_station};
use crate::decode::Proto;
use crate::decode::cursor::be16;
use crate::frame::FrameMeta;
use crate::packet::{Malformed, NONE, Packet, Why};

/// Which protocol a message is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 826.
    Arp,
    /// RFC 4861.
    Nd,
}

/// What a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It asks who has `dst_ip`.
    Asks,
    /// It answers, or announces, that `src_hw` has `src_ip`.
    Answers,
    /// Neither (reverse ARP, router discovery, Redirect).
    Other,
}

/// One ARP or Neighbor Discovery message.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Capture time, ns since 1970.
    pub ts: i64,
    /// The file has no time for this frame.
    pub ts_missing: bool,
    /// Position in the input, from 1.
    pub number: u64,
    /// Index of the interface in the batch.
    pub interface: u32,
    /// Where the addresses mean something.
    pub segment: Segment,
    /// Source of the Ethernet header; `None` without one.
    pub eth_src: Option<Mac>,
    /// ARP or ND.
    pub protocol: Protocol,
    /// What it does.
    pub role: Role,
    /// ARP opcode, or ICMPv6 type.
    pub opcode: u16,
    /// The sender's hardware address as the message says it; ND: source or target link-layer address option.
    pub src_hw: Option<Mac>,
    /// The address that the sender speaks of as its own. NA: the target.
    pub src_ip: Option<Ip>,
    /// Target hardware address. Of ND only a Redirect has one: that of the better first hop.
    pub dst_hw: Option<Mac>,
    /// The address asked for. NA: whom it is sent to. Redirect: the better first hop.
    pub dst_ip: Option<Ip>,
    /// Announced without having been asked. ARP: sender and target address are the same. NA: unsolicited, to all nodes.
    pub gratuitous: bool,
    /// The sender says that it is a default router (RA with a lifetime).
    pub router: bool,
}

impl Message {
    /// The address and the station that the message ties together, if it does.
    #[must_use]
    pub fn claim(&self) -> Option<(Ip, Mac)> {
        let (ip, mac) = (self.src_ip?, self.src_hw?);
        (ip.is_station() && is_station(&mac)).then_some((ip, mac))
    }
}

/// Whether a frame may hold such a message: quicker than [`read`].
#[must_use]
#[inline]
pub fn is_candidate(packet: &Packet) -> bool {
    arp_at(packet).is_some() || packet.has_icmp && packet.ip_version == 6 && matches!(packet.icmp_type, 133..=137)
}

/// Where the ARP message is, whatever its addresses are, and how many bytes of it there are at most: the last layer, whole or
/// cut, unless an ICMP error quotes it.
#[inline]
fn arp_at(packet: &Packet) -> Option<(usize, usize)> {
    let last = packet.layers().last().filter(|last| last.proto() == Proto::Arp)?;
    let at = last.offset();
    match &packet.malformed {
        _ if packet.arp == at as u32 => Some((at, usize::MAX)),
        Some(Malformed { proto: Proto::Arp, why: Why::Short { have, .. }, .. }) => Some((at, *have)),
        _ => None,
    }
}

fn mac(bytes: &[u8], at: usize) -> Option<Mac> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The message in a decoded frame.
#[must_use]
pub fn read(meta: &FrameMeta, packet: &Packet, frame: &[u8], point: u32) -> Option<Message> {
    let eth_src = if packet.eth == NONE { None } else { mac(frame, packet.eth as usize + 6) };
    let empty = Message {
        ts: meta.ts,
        ts_missing: meta.ts_missing,
        number: meta.number,
        interface: meta.interface,
        segment: Segment::of(packet, point),
        eth_src,
        protocol: Protocol::Arp,
        role: Role::Other,
        opcode: 0,
        src_hw: None,
        src_ip: None,
        dst_hw: None,
        dst_ip: None,
        gratuitous: false,
        router: false,
    };
    if let Some((at, have)) = arp_at(packet) {
        let body = frame.get(at..)?;
        return arp(empty, &body[..have.min(body.len())]);
    }
    // What was forwarded is not of this link (RFC 4861, 7.1), and what has a fragment header is ignored (RFC 6980, 5).
    if !is_candidate(packet) || packet.ip_ttl != 255 || packet.has_fragment_header() {
        return None;
    }
    // What stands behind the IP packet is no option.
    let end = (packet.ip as usize + packet.ip_len as usize).min(frame.len());
    neighbor_discovery(empty, packet, frame.get(packet.transport as usize..end)?)
}

/// Addresses of other lengths than IPv4 over Ethernet have are left out; the opcode is always there.
fn arp(mut message: Message, body: &[u8]) -> Option<Message> {
    let head = body.first_chunk::<8>()?;
    let (hardware, protocol) = (usize::from(head[4]), usize::from(head[5]));
    let is_ipv4 = be16(head, 2) == 0x0800 && protocol == 4;
    let ip = |at: usize| body.get(at..)?.first_chunk().copied().filter(|_| is_ipv4).map(Ip::v4);
    let station = |at: usize| mac(body, at).filter(|_| hardware == 6);
    message.opcode = be16(head, 6);
    message.src_hw = station(8);
    message.src_ip = ip(8 + hardware);
    message.dst_hw = station(8 + hardware + protocol);
    message.dst_ip = ip(8 + 2 * hardware + protocol);
    message.role = match message.opcode {
        1 => Role::Asks,
        2 => Role::Answers,
        _ => Role::Other,
    };
    message.gratuitous = message.role != Role::Other && message.src_ip.is_some() && message.src_ip == message.dst_ip;
    Some(message)
}

/// Option types of RFC 4861, 4.6.1.
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn neighbor_discovery(mut message: Message, packet: &Packet, body: &[u8]) -> Option<Message> {
    let target = |at: usize| body.get(at..)?.first_chunk::<16>().copied().map(Ip::v6);
    message.protocol = Protocol::Nd;
    message.opcode = u16::from(packet.icmp_type);
    let (sender, receiver) = (Ip::v6(packet.ip_src), Ip::v6(packet.ip_dst));
    match packet.icmp_type {
        133 => {
            message.src_ip = Some(sender);
            message.src_hw = option(body.get(8..)?, SOURCE_LINK_LAYER);
            message.dst_ip = Some(receiver);
        }
        134 => {
            message.src_ip = Some(sender);
            message.src_hw = option(body.get(16..)?, SOURCE_LINK_LAYER);
            message.dst_ip = Some(receiver);
            message.router = be16(body, 6) > 0;
        }
        135 => {
            message.role = Role::Asks;
            message.src_ip = Some(sender);
            message.dst_ip = Some(target(8)?);
            message.src_hw = option(body.get(24..)?, SOURCE_LINK_LAYER);
        }
        137 => {
            message.src_ip = Some(sender);
            message.dst_ip = Some(target(8)?);
            message.dst_hw = option(body.get(40..)?, TARGET_LINK_LAYER);
        }
        _ => {
            message.role = Role::Answers;
            message.src_ip = Some(target(8)?);
            message.dst_ip = Some(receiver);
            message.src_hw = option(body.get(24..)?, TARGET_LINK_LAYER);
            let solicited = body[4] & 0x40 != 0;
            message.gratuitous = !solicited && packet.ip_dst == ALL_NODES;
            message.router = body[4] & 0x80 != 0;
        }
    }
    Some(message)
}

/// The hardware address in an option of this type; longer ones are no Ethernet addresses (RFC 2464, 6).
fn option(mut options: &[u8], wanted: u8) -> Option<Mac> {
    while let [kind, words, ..] = *options {
        let length = usize::from(words) * 8;
        let option = options.get(..length.max(1))?;
        if length == 0 {
            return None;
        }
        if kind == wanted {
            return mac(option, 2).filter(|_| words == 1);
        }
        options = &options[length..];
    }
    None
}
