//! One frame as one line of layers, in the grammar that the corpus answers use.
//!
//! Layers in wire order, joined by `|`; `(` before the headers that an ICMP error quotes. Fields that are not there are
//! `None`. Layers without fields give their bare name; what the comparison does not cover gives nothing.

use super::bytes::Bytes;
use crate::decode::Proto;
use crate::packet::Packet;
use std::fmt::Write;

/// The canonical line of a decoded frame: `frame` is what was captured, `packet` what [`crate::decode::decode`] made
/// of it.
#[must_use]
pub fn canonical_line(frame: &[u8], packet: &Packet) -> String {
    let mut line = Line { out: String::with_capacity(160), after_icmp: false, quoted: false };
    let mut layers = packet.layers().iter().peekable();
    let mut ip_end = (packet.frame_len as usize).max(frame.len());
    while let Some(layer) = layers.next() {
        let rest = frame.get(layer.offset()..).unwrap_or(&[]);
        let next = layers.peek().map(|next| next.offset());
        if let Some(end) = content_end(layer.proto(), Bytes(rest))
            && end != 0
        {
            ip_end = ip_end.min(layer.offset() + end);
        }
        let rest = rest.get(..ip_end.saturating_sub(layer.offset())).unwrap_or(rest);
        // Nothing of this layer is there: only the layer before announced it.
        if rest.is_empty() && packet.malformed.as_ref().is_some_and(|fault| fault.offset == layer.offset()) {
            break;
        }
        let header = next.and_then(|next| rest.get(..next.saturating_sub(layer.offset()))).unwrap_or(rest);
        line.layer(layer.proto(), Bytes(rest), header, ip_end.saturating_sub(layer.offset()));
    }
    line.out
}

/// Where an IP header says that the packet ends, from its start; 0 stands for the end of the frame.
fn content_end(proto: Proto, bytes: Bytes<'_>) -> Option<usize> {
    match proto {
        Proto::Ip => bytes.be16(2).map(usize::from),
        Proto::Ipv6 => bytes.be16(4).map(|length| if length == 0 { 0 } else { 40 + usize::from(length) }),
        _ => None,
    }
}

/// A value or `None`, as the answers write it.
struct Or<T>(Option<T>);

impl<T: std::fmt::Display> std::fmt::Display for Or<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("None"),
        }
    }
}

struct Line {
    out: String,
    after_icmp: bool,
    quoted: bool,
}

impl Line {
    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        if !self.out.is_empty() {
            self.out.push('|');
        }
        self.out.write_fmt(text).expect("a String takes everything");
    }

    /// `bytes` runs to the end of the frame, `header` to the next layer; `wire_len` bytes are left in the IP packet.
    fn layer(&mut self, proto: Proto, bytes: Bytes<'_>, header: &[u8], wire_len: usize) {
        match proto {
            Proto::Eth => {
                let (dst, src) = (Or(bytes.mac(0)), Or(bytes.mac(6)));
                match bytes.be16(12) {
                    Some(kind @ 0x0600..) => self.add(format_args!("eth:{src}>{dst}:0x{kind:04x}")),
                    Some(0..=1500) => self.add(format_args!("eth:{src}>{dst}:len")),
                    _ => self.add(format_args!("eth:{src}>{dst}:-")),
                }
            }
            Proto::Vlan => self.add(format_args!("vlan:{}", Or(bytes.be16(0).map(|tci| tci & 0x0fff)))),
            Proto::SVlan => self.add(format_args!("svlan:{}", Or(bytes.be16(0).map(|tci| tci & 0x0fff)))),
            Proto::Ip | Proto::Ipv6 => {
                if self.after_icmp && !self.quoted {
                    self.quoted = true;
                    self.add(format_args!("("));
                }
                if proto == Proto::Ip { self.ipv4(bytes) } else { self.ipv6(bytes) }
            }
            Proto::Ipv6Frag => {
                // tshark shows this header whole or not at all.
                let word = bytes.be16(2).filter(|_| bytes.u8(7).is_some());
                let next = bytes.u8(0).filter(|_| word.is_some());
                let more = if word.is_some_and(|word| word & 1 == 1) { "+" } else { "" };
                let offset = Or(word.map(|word| word >> 3));
                self.add(format_args!("ip6frag:{offset}{more}:{}", Or(next)));
            }
            Proto::Ipv6HopOpts | Proto::Ipv6Routing | Proto::Ipv6DstOpts | Proto::Ah => {
                let kind = proto.name().trim_start_matches("ipv6.");
                self.add(format_args!("ip6x:{kind}:{}", Or(bytes.u8(0))));
            }
            Proto::Tcp => self.tcp(bytes, wire_len),
            Proto::Udp => {
                let (src, dst, length) = (Or(bytes.be16(0)), Or(bytes.be16(2)), Or(bytes.be16(4)));
                self.add(format_args!("udp:{src}>{dst}:{length}"));
            }
            Proto::Sctp => self.add(format_args!("sctp:{}>{}", Or(bytes.be16(0)), Or(bytes.be16(2)))),
            Proto::Icmp | Proto::Icmpv6 => {
                let name = if proto == Proto::Icmp { "icmp" } else { "icmp6" };
                self.add(format_args!("{name}:{}/{}", Or(bytes.u8(0)), Or(bytes.u8(1))));
                self.after_icmp = true;
            }
            Proto::Arp => self.arp(bytes),
            Proto::Vxlan | Proto::VxlanGpe => {
                self.add(format_args!("vxlan:{}", Or(bytes.be32(4).map(|word| word >> 8))));
            }
            Proto::Geneve => self.add(format_args!("geneve:0x{:06x}", bytes.be32(4).unwrap_or(0) >> 8)),
            Proto::Gre => self.gre(bytes),
            Proto::Mpls => {
                for entry in header.chunks_exact(4) {
                    let label = Bytes(entry).be32(0).unwrap_or(0) >> 12;
                    self.add(format_args!("mpls:{label}"));
                }
            }
            Proto::PppoeS | Proto::PppoeD => self.add(format_args!("pppoe:0x{:04x}", bytes.be16(2).unwrap_or(0))),
            Proto::Ppp | Proto::PppHdlc => {
                // Protocol field compression leaves one odd byte.
                let protocol = match header {
                    [0xff, _, high, low, ..] if high & 1 == 0 => u16::from_be_bytes([*high, *low]),
                    [0xff, _, odd, ..] => u16::from(*odd),
                    [odd, ..] if odd & 1 == 1 => u16::from(*odd),
                    _ => bytes.be16(0).unwrap_or(0),
                };
                self.add(format_args!("ppp:0x{protocol:04x}"));
            }
            Proto::Gtp => self.add(format_args!("gtp:0x{:08x}", bytes.be32(4).unwrap_or(0))),
            Proto::Llc
            | Proto::Stp
            | Proto::Lldp
            | Proto::Loop
            | Proto::Null
            | Proto::Raw
            | Proto::Sll
            | Proto::Sll2
            | Proto::Chdlc
            | Proto::Igmp
            | Proto::Esp
            | Proto::Dccp
            | Proto::UdpLite
            | Proto::Ospf
            | Proto::Eigrp
            | Proto::Pim
            | Proto::Vrrp
            | Proto::Erspan
            | Proto::Erspan1
            | Proto::L2tp
            | Proto::L2tpIp
            | Proto::Teredo => self.add(format_args!("{}", proto.name())),
            // Named in `protocols`, but not in this grammar.
            _ => {}
        }
    }

    fn ipv4(&mut self, bytes: Bytes<'_>) {
        let (src, dst, proto) = (Or(bytes.ipv4(12)), Or(bytes.ipv4(16)), Or(bytes.u8(9)));
        let word = bytes.be16(6).unwrap_or(0);
        let (offset, more) = (word & 0x1fff, word & 0x2000 != 0);
        if offset == 0 && !more {
            self.add(format_args!("ip4:{src}>{dst}:{proto}"));
        } else {
            let more = if more { "+" } else { "" };
            self.add(format_args!("ip4:{src}>{dst}:{proto}:f{offset}{more}"));
        }
    }

    fn ipv6(&mut self, bytes: Bytes<'_>) {
        self.add(format_args!("ip6:{}>{}:{}", Or(bytes.ipv6(8)), Or(bytes.ipv6(24)), Or(bytes.u8(6))));
    }

    fn tcp(&mut self, bytes: Bytes<'_>, wire_len: usize) {
        let (src, dst) = (Or(bytes.be16(0)), Or(bytes.be16(2)));
        // tshark reads the data offset first and gives up without it.
        let whole = bytes.u8(12).is_some();
        let (seq, ack) = (Or(bytes.be32(4).filter(|_| whole)), Or(bytes.be32(8).filter(|_| whole)));
        let flags = Or(bytes.be16(12).map(|word| format!("0x{:04x}", word & 0x0fff)));
        let header_len = bytes.u8(12).map(|byte| usize::from(byte >> 4) * 4).filter(|&length| length >= 20);
        let length = Or(header_len.map(|header_len| wire_len.saturating_sub(header_len)));
        self.add(format_args!("tcp:{src}>{dst}:{flags}:{seq}:{ack}:{length}"));
    }

    fn arp(&mut self, bytes: Bytes<'_>) {
        let (hardware, protocol) = (bytes.be16(0), bytes.be16(2));
        let (hardware_len, protocol_len) = (bytes.u8(4).unwrap_or(0), bytes.u8(5).unwrap_or(0));
        let sender = 8;
        let sender_ip = sender + usize::from(hardware_len);
        let target = sender_ip + usize::from(protocol_len);
        let target_ip = target + usize::from(hardware_len);
        let mac = |at| Or(bytes.mac(at).filter(|_| matches!(hardware, Some(1 | 6)) && hardware_len == 6));
        let ip = |at| Or(bytes.ipv4(at).filter(|_| protocol == Some(0x0800) && protocol_len == 4));
        self.add(format_args!(
            "arp:{}:{}/{}>{}/{}",
            Or(bytes.be16(6)),
            mac(sender),
            ip(sender_ip),
            mac(target),
            ip(target_ip)
        ));
    }

    fn gre(&mut self, bytes: Bytes<'_>) {
        let flags = bytes.be16(0).unwrap_or(0);
        let key_at = if flags & 0xc000 != 0 { 8 } else { 4 };
        self.add(format_args!("gre:0x{:04x}", bytes.be16(2).unwrap_or(0)));
        // In version 1 (PPTP) the same bits hold a payload length and a call id.
        if flags & 0x2007 == 0x2000
            && let Some(key) = bytes.be32(key_at)
        {
            self.out.write_fmt(format_args!(":k0x{key:08x}")).expect("a String takes everything");
        }
    }
}
