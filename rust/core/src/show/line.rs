//! One line a frame, as tcpdump prints it.
//!
//! What tcpdump puts on further lines (the frame inside VXLAN) stays on the line here.

use super::bytes::Bytes;
use super::names::Names;
use super::sequence::Sequences;
use super::zone::Zone;
use super::{arp, icmp, icmpv6, link, ppp, tcp, transport, tunnel};
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
    /// The time that `-ttt` and `-ttttt` count from, µs.
    base: Option<i64>,
    names: Names,
    /// Capture point of the frame at hand.
    point: u32,
}

/// What a layer's printer knows of its surroundings. A printer answers `None` where what was captured ends before what it
/// prints next; the line then says so, as `[|tcp]`.
pub(super) struct Place<'a> {
    /// From this layer's header to the end of the IP packet, as captured.
    pub bytes: Bytes<'a>,
    /// The same length on the wire.
    pub wire: usize,
    /// How many bytes this header's length field counts that the packet around does not have.
    pub missing: usize,
    /// The addresses of the IP header around.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// The IP packet around has further fragments.
    pub fragment: bool,
    /// Decoding stopped in this header.
    pub fault: bool,
    /// What follows, or `None`.
    pub next: Option<Proto>,
}

impl Place<'_> {
    /// Nothing follows that has a text of its own.
    pub fn is_last(&self) -> bool {
        matches!(self.next, Some(Proto::Data) | None)
    }
}

impl LinePrinter {
    /// A printer with these flags.
    #[must_use]
    pub fn new(options: LineOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Prints what interfaces are called where frames tell their index alone.
    #[must_use]
    pub fn with_names(self, names: Names) -> Self {
        Self { names, ..self }
    }

    /// How many TCP conversations were forgotten because there were too many to remember.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.sequences.evicted
    }

    /// Appends the line of one frame to `out`, without a newline.
    pub fn print(&mut self, meta: &FrameMeta, frame: &[u8], packet: &Packet, out: &mut String) {
        self.time(meta, out);
        self.point = meta.interface;
        let begin = out.len();
        let layers = packet.layers();
        let mut end = (packet.frame_len as usize).max(frame.len());
        let (mut ends, mut fragment) = (None, false);
        for (index, layer) in layers.iter().enumerate() {
            let (proto, offset) = (layer.proto(), layer.offset());
            let around = end;
            let bytes = Bytes(frame.get(offset..end.min(frame.len())).unwrap_or(&[]));
            let content = content_length(proto, bytes).map_or(end, |length| offset + length);
            // What an IP header counts and the frame lacks is missing, and still a part of the lengths in it.
            end = if matches!(proto, Proto::Ip | Proto::Ipv6) { content } else { end.min(content) };
            let next = layers.get(index + 1);
            let place = Place {
                bytes: Bytes(frame.get(offset..end.min(frame.len())).unwrap_or(&[])),
                wire: end.saturating_sub(offset),
                missing: content.saturating_sub(around),
                ends,
                fragment,
                fault: packet.malformed.as_ref().is_some_and(|fault| fault.offset == offset && fault.proto == proto),
                next: next.map(|next| next.proto()),
            };
            let before = out.len();
            let told = match proto {
                Proto::Ip | Proto::Ipv6 => {
                    if self.options.link && index == 0 {
                        out.push_str(if proto == Proto::Ip { "ip: " } else { "ip6: " });
                    }
                    fragment = proto == Proto::Ip && place.bytes.be16(6).is_some_and(|word| word & 0x2000 != 0);
                    self.network(proto, &place, &mut ends, out)
                }
                _ => {
                    let alone = || !layers.iter().skip(index + 1).any(|layer| has_text(layer.proto()));
                    fragment |= proto == Proto::Ipv6Frag;
                    self.layer(proto, &place, alone, out)
                }
            };
            if told.is_none() || place.fault && out.len() == before {
                let _ = write!(out, " [|{}]", cut_name(proto));
            }
            if told.is_none() || place.fault || ends_line(proto, place.next) {
                break;
            }
        }
        if layers.is_empty() {
            let _ = write!(out, "[{}]", packet.malformed.as_ref().map_or_else(String::new, ToString::to_string));
        } else if out.len() == begin {
            let _ = write!(out, "{}, length {}", super::protocols(packet), packet.frame_len);
        }
        while out.ends_with(' ') {
            out.pop();
        }
    }

    fn time(&mut self, meta: &FrameMeta, out: &mut String) {
        if meta.ts_missing {
            return;
        }
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
                // Of stamps as they are shown, so that sums of what is printed are right.
                let now = meta.ts.div_euclid(1000);
                let passed = now.saturating_sub(self.base.unwrap_or(now));
                if self.base.is_none() || self.options.time == Time::Delta {
                    self.base = Some(now);
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
        ends: &mut Option<(IpAddr, IpAddr)>,
        out: &mut String,
    ) -> Option<()> {
        let bytes = place.bytes;
        if proto == Proto::Ipv6 && bytes.0.len() < 40 {
            return None;
        }
        let (name, version) = if proto == Proto::Ip { ("IP", 4) } else { ("IP6", 6) };
        let (told, words) = bytes.u8(0).map(|byte| (byte >> 4, byte & 0x0f))?;
        if told != version {
            let _ = write!(out, "{name}, version error: {told} != {version}");
            return Some(());
        }
        if !self.options.link || ends.is_some() {
            out.push_str(name);
            out.push(' ');
        }
        if proto == Proto::Ip && words < 5 {
            let _ = write!(out, "bad-hlen {}", words * 4);
            return Some(());
        }
        if place.missing > 0 {
            let _ = write!(out, "truncated-{} - {} bytes missing! ", name.to_ascii_lowercase(), place.missing);
        }
        if proto == Proto::Ip && place.wire < usize::from(words) * 4 {
            let _ = write!(out, "bad-len {}", place.wire);
            return Some(());
        }
        let (from, to) = if proto == Proto::Ip {
            (IpAddr::V4(bytes.ipv4(12)?), IpAddr::V4(bytes.ipv4(16)?))
        } else {
            (IpAddr::V6(bytes.ipv6(8)?), IpAddr::V6(bytes.ipv6(24)?))
        };
        *ends = Some((from, to));
        if matches!(place.next, Some(Proto::Tcp | Proto::Udp | Proto::Sctp)) {
            return Some(());
        }
        let _ = write!(out, "{from} > {to}: ");
        if place.fault {
            return None;
        }
        let fragment = proto == Proto::Ip && bytes.be16(6)? & 0x1fff != 0;
        let number = bytes.u8(if proto == Proto::Ip { 9 } else { 6 })?;
        if fragment {
            let _ = write!(out, "{}", transport::protocol_name(number));
        } else if place.is_last() {
            let header = if proto == Proto::Ip { usize::from(bytes.u8(0)? & 0x0f) * 4 } else { 40 };
            tunnel::unopened(number, place.wire.saturating_sub(header), out);
        }
        Some(())
    }

    /// Prints one layer. A link header is printed where it is asked for, or where it is `alone` in having a text.
    fn layer(&mut self, proto: Proto, place: &Place<'_>, alone: impl Fn() -> bool, out: &mut String) -> Option<()> {
        let link = self.options.link;
        match proto {
            Proto::Eth => link::ethernet(place, link || alone(), out),
            Proto::Null => link::loopback(place, link || alone(), out),
            Proto::Raw => link::raw(place, link, out),
            Proto::Sll => link::cooked(place, link || alone(), out),
            Proto::Sll2 => {
                let name = place.bytes.be32(4).and_then(|index| self.names.of(self.point, index));
                link::cooked_v2(place, name, link || alone(), out)
            }
            Proto::Chdlc => link::cisco(place, link, out),
            Proto::Ppp | Proto::PppHdlc => ppp::ppp(proto, place, link, out),
            Proto::Vlan | Proto::SVlan => link::vlan(place, link, out),
            Proto::Arp => {
                out.push_str(if link { "" } else { "ARP, " });
                arp::arp(place, out)
            }
            Proto::Tcp => tcp::tcp(place, if self.options.absolute { None } else { Some(&mut self.sequences) }, out),
            Proto::Udp => transport::udp(place, opens(place.next), out),
            Proto::Sctp => transport::sctp(place, out),
            Proto::Icmp => icmp::icmp(place, out),
            Proto::Icmpv6 => icmpv6::icmpv6(place, out),
            _ => tunnel::other(proto, place, out),
        }
    }
}

/// What this layer quotes, or what its printer told of, is not printed.
fn ends_line(proto: Proto, next: Option<Proto>) -> bool {
    match proto {
        Proto::Icmp | Proto::Icmpv6 => true,
        Proto::Udp => !opens(next),
        _ => false,
    }
}

/// tcpdump's name of a protocol whose header was cut.
fn cut_name(proto: Proto) -> &'static str {
    match proto {
        Proto::Eth => "ether",
        Proto::Ipv6 => "ip6",
        Proto::Icmpv6 => "icmp6",
        Proto::Sll2 => "sll2",
        Proto::UdpEncap => "isakmp",
        Proto::Ipv6HopOpts => "hbhopt",
        Proto::Ipv6DstOpts => "dstopt",
        Proto::Ipv6Routing => "rt6",
        Proto::Ipv6Frag => "frag6",
        other => other.name(),
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
        Proto::PppoeS => bytes.be16(4).map(|length| 6 + usize::from(length)),
        _ => None,
    }
}
