//! One line a frame, as tcpdump prints it.
//!
//! What tcpdump puts on further lines (the frame inside VXLAN) stays on the line here.

use super::bytes::Bytes;
use super::control;
use super::sequence::{End, Sequences};
use super::zone::Zone;
use crate::calendar::date;
use crate::decode::Proto;
use crate::frame::FrameMeta;
use crate::packet::Packet;
use std::fmt::Write;
use std::net::IpAddr;

/// How the time stands in front of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    /// Hours, minutes, seconds and microseconds.
    #[default]
    Clock,
    /// `-t`: none.
    None,
    /// `-tt`: seconds since 1970.
    Epoch,
    /// `-ttt`: since the line before.
    Delta,
    /// `-ttttt`: since the first line.
    Elapsed,
    /// `-tttt`: with the date.
    Date,
}

/// tcpdump's flags that change a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineOptions {
    /// `-e`: print the link header.
    pub link: bool,
    /// How to print the time.
    pub time: Time,
    /// Local time.
    pub zone: Zone,
    /// `-S`: sequence numbers as they stand in the header.
    pub absolute: bool,
}

/// Prints frames as lines; remembers the first sequence numbers of each TCP conversation, within a bound.
#[derive(Debug, Default)]
pub struct LinePrinter {
    options: LineOptions,
    sequences: Sequences,
    /// The time that `-ttt` and `-ttttt` count from.
    base: Option<i64>,
}

/// What a layer's printer knows of its surroundings.
pub(super) struct Place<'a> {
    /// From this layer's header to the end of the IP packet, as captured.
    pub bytes: Bytes<'a>,
    /// The same length on the wire.
    pub wire: usize,
    /// Length of this layer's own header, as far as a layer follows.
    pub header: usize,
    /// The addresses of the IP header around.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// What follows, or `None`.
    pub next: Option<Proto>,
}

impl Place<'_> {
    /// The address family in a BSD loopback header, in whichever byte order.
    fn family(&self) -> u32 {
        self.bytes.be32(0).map_or(0, |family| if family > 0xffff { family.swap_bytes() } else { family })
    }
}

impl LinePrinter {
    /// A printer with these flags.
    #[must_use]
    pub fn new(options: LineOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// How many TCP conversations were forgotten because there were too many to remember.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.sequences.evicted
    }

    /// Appends the line of one frame to `out`, without a newline.
    pub fn print(&mut self, meta: &FrameMeta, frame: &[u8], packet: &Packet, out: &mut String) {
        self.time(meta, out);
        let layers = packet.layers();
        let mut end = (packet.frame_len as usize).max(frame.len());
        let named = layers.iter().skip(1).any(|layer| has_text(layer.proto()));
        let (mut ends, mut suffix) = (None, String::new());
        for (index, layer) in layers.iter().enumerate() {
            let (proto, offset) = (layer.proto(), layer.offset());
            let bytes = Bytes(frame.get(offset..end.min(frame.len())).unwrap_or(&[]));
            if let Some(length) = content_length(proto, bytes) {
                end = end.min(offset + length);
            }
            let next = layers.get(index + 1);
            let place = Place {
                bytes: Bytes(frame.get(offset..end.min(frame.len())).unwrap_or(&[])),
                wire: end.saturating_sub(offset),
                header: next.map_or(0, |next| next.offset().saturating_sub(offset)),
                ends,
                next: next.map(|next| next.proto()),
            };
            // Nothing of it there, or a fault in it.
            if packet.malformed.as_ref().is_some_and(|fault| fault.offset == offset && fault.proto == proto) {
                let _ = write!(out, "[|{}]", proto.name());
                break;
            }
            if matches!(proto, Proto::Ip | Proto::Ipv6) {
                ends = self.network(proto, &place, ends.is_some(), out, &mut suffix);
            } else if !self.layer(proto, &place, index == 0, named, out) {
                break;
            }
        }
        if layers.is_empty() {
            let _ = write!(out, "[{}]", packet.malformed.as_ref().map_or_else(String::new, ToString::to_string));
        }
        while out.ends_with(' ') {
            out.pop();
        }
        out.push_str(&suffix);
    }

    fn time(&mut self, meta: &FrameMeta, out: &mut String) {
        let (mut seconds, nanos) = (meta.ts.div_euclid(1_000_000_000), meta.ts.rem_euclid(1_000_000_000));
        if self.options.time != Time::Epoch {
            seconds += i64::from(self.options.zone.at(seconds));
        }
        let micros = nanos / 1000;
        let day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (day / 3600, day / 60 % 60, day % 60);
        let _ = match self.options.time {
            Time::None => Ok(()),
            Time::Epoch => write!(out, "{seconds}.{micros:06} "),
            Time::Delta | Time::Elapsed => {
                let passed = meta.ts.saturating_sub(self.base.unwrap_or(meta.ts)) / 1000;
                if self.base.is_none() || self.options.time == Time::Delta {
                    self.base = Some(meta.ts);
                }
                let (sign, seconds) = (if passed < 0 { '-' } else { ' ' }, passed.unsigned_abs() / 1_000_000);
                let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
                write!(out, "{sign}{hour:02}:{minute:02}:{second:02}.{:06} ", passed.unsigned_abs() % 1_000_000)
            }
            Time::Clock => write!(out, "{hour:02}:{minute:02}:{second:02}.{micros:06} "),
            Time::Date => {
                let (year, month, day) = date(seconds.div_euclid(86_400));
                write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06} ")
            }
        };
    }

    /// Prints an IP header's part; the addresses are what the layers inside print with their ports.
    fn network(
        &self,
        proto: Proto,
        place: &Place<'_>,
        inner: bool,
        out: &mut String,
        suffix: &mut String,
    ) -> Option<(IpAddr, IpAddr)> {
        let ends = if proto == Proto::Ip {
            (IpAddr::V4(place.bytes.ipv4(12)?), IpAddr::V4(place.bytes.ipv4(16)?))
        } else {
            (IpAddr::V6(place.bytes.ipv6(8)?), IpAddr::V6(place.bytes.ipv6(24)?))
        };
        if !self.options.link || inner {
            out.push_str(if proto == Proto::Ip { "IP " } else { "IP6 " });
        }
        if matches!(place.next, Some(Proto::Tcp | Proto::Udp | Proto::Sctp)) {
            return Some(ends);
        }
        let _ = write!(out, "{} > {}: ", ends.0, ends.1);
        let fragment = proto == Proto::Ip && place.bytes.be16(6).unwrap_or(0) & 0x1fff != 0;
        let number = place.bytes.u8(if proto == Proto::Ip { 9 } else { 6 }).unwrap_or(0);
        if proto == Proto::Ip && number == 4 && !fragment {
            suffix.insert_str(0, " (ipip-proto-4)");
        }
        if fragment {
            let _ = write!(out, "{}", control::protocol_name(number));
        } else if matches!(place.next, Some(Proto::Data) | None) {
            let _ = write!(out, "{} {}", control::protocol_name(number), place.wire.saturating_sub(place.header));
        }
        Some(ends)
    }

    /// Prints one layer; `false` ends the line.
    fn layer(&mut self, proto: Proto, place: &Place<'_>, first: bool, named: bool, out: &mut String) -> bool {
        let show_link = self.options.link || (first && !named);
        match proto {
            Proto::Eth => control::ethernet(place, show_link, out),
            Proto::Null if self.options.link => {
                let family = place.next.map_or(0, |next| if next == Proto::Ip { 2 } else { place.family() });
                let name = if family == 2 { "IPv4" } else { "IPv6" };
                let _ = write!(out, "AF {name} ({family}), length {}: ", place.wire);
            }
            Proto::Raw if self.options.link => {
                out.push_str(if place.next == Some(Proto::Ip) { "ip: " } else { "ip6: " });
            }
            Proto::Vlan | Proto::SVlan => control::vlan(place, self.options.link, out),
            Proto::Arp => {
                out.push_str(if self.options.link { "" } else { "ARP, " });
                control::arp(place, out);
            }
            Proto::Tcp => self.tcp(place, out),
            Proto::Udp => {
                ports(place, out);
                if !opens(place.next) {
                    control::udp(place, out);
                    return false;
                }
            }
            Proto::Sctp => {
                ports(place, out);
                let _ = write!(out, "sctp, length {}", place.wire.saturating_sub(12));
            }
            Proto::Icmp => {
                control::icmp(place, out);
                return false;
            }
            Proto::Icmpv6 => {
                control::icmpv6(place, out);
                return false;
            }
            _ => return control::other(proto, place, out),
        }
        true
    }

    fn tcp(&mut self, place: &Place<'_>, out: &mut String) {
        ports(place, out);
        let bytes = place.bytes;
        let (Some(seq), Some(ack), Some(word), Some(window)) =
            (bytes.be32(4), bytes.be32(8), bytes.be16(12), bytes.be16(14))
        else {
            out.push_str("[|tcp]");
            return;
        };
        let (flags, header) = (word & 0x01ff, usize::from(word >> 12) * 4);
        let length = place.wire.saturating_sub(header) as u32;
        let is = |flag: u16| flags & flag != 0;
        let base = match place.ends {
            Some((src, dst)) if is(ACK) && !self.options.absolute => {
                let ends: (End, End) = ((src, bytes.be16(0).unwrap_or(0)), (dst, bytes.be16(2).unwrap_or(0)));
                self.sequences.base(ends.0, ends.1, seq, ack, is(SYN))
            }
            _ => super::sequence::Base::default(),
        };
        out.push_str("Flags [");
        let named = [(FIN, 'F'), (SYN, 'S'), (RST, 'R'), (PSH, 'P'), (ACK, '.'), (URG, 'U'), (0x40, 'E'), (0x80, 'W')];
        if flags & 0xff == 0 {
            out.push_str("none");
        }
        out.extend(named.iter().filter(|(flag, _)| is(*flag)).map(|(_, name)| name));
        out.push(']');
        let seq = seq.wrapping_sub(base.seq);
        if length > 0 {
            let _ = write!(out, ", seq {seq}:{}", seq.wrapping_add(length));
        } else if is(SYN) || is(FIN) || is(RST) {
            let _ = write!(out, ", seq {seq}");
        }
        if is(ACK) {
            let _ = write!(out, ", ack {}", ack.wrapping_sub(base.ack));
        }
        let _ = write!(out, ", win {window}");
        if is(URG) {
            let _ = write!(out, ", urg {}", bytes.be16(18).unwrap_or(0));
        }
        if header > 20 {
            control::tcp_options(bytes.0.get(20..header.min(bytes.0.len())).unwrap_or(&[]), base.ack, out);
        }
        let _ = write!(out, ", length {length}");
        let by_port = [bytes.be16(0), bytes.be16(2)].iter().any(|port| matches!(port, Some(80 | 8080 | 3128)));
        if length > 0 && (by_port || place.next == Some(Proto::Http)) {
            control::http(bytes.from(header).0, place.next == Some(Proto::Http), out);
        }
    }
}

const FIN: u16 = 0x01;
const SYN: u16 = 0x02;
const RST: u16 = 0x04;
const PSH: u16 = 0x08;
const ACK: u16 = 0x10;
const URG: u16 = 0x20;

/// Both ends with their ports.
fn ports(place: &Place<'_>, out: &mut String) {
    let port = |at| place.bytes.be16(at).map_or_else(|| "?".to_owned(), |port| port.to_string());
    if let Some((src, dst)) = place.ends {
        let _ = write!(out, "{src}.{} > {dst}.{}: ", port(0), port(2));
    }
}

/// The layers inside this one have their own text.
fn opens(next: Option<Proto>) -> bool {
    matches!(
        next,
        Some(
            Proto::Vxlan
                | Proto::VxlanGpe
                | Proto::Geneve
                | Proto::Gtp
                | Proto::L2tp
                | Proto::Teredo
                | Proto::Mpls
                | Proto::UdpEncap
        )
    )
}

/// This layer says something of its own, so that the link header need not be shown.
fn has_text(proto: Proto) -> bool {
    !matches!(proto, Proto::Data | Proto::Llc | Proto::Vlan | Proto::SVlan | Proto::Slow)
}

fn content_length(proto: Proto, bytes: Bytes<'_>) -> Option<usize> {
    match proto {
        // 802.3: the rest is padding.
        Proto::Eth => bytes.be16(12).filter(|&length| length <= 1500).map(|length| 14 + usize::from(length)),
        Proto::Ip => bytes.be16(2).filter(|&length| length != 0).map(usize::from),
        Proto::Ipv6 => bytes.be16(4).filter(|&length| length != 0).map(|length| 40 + usize::from(length)),
        _ => None,
    }
}
