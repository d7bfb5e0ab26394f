//! Headers that carry others, and what is only named, in a line, in tcpdump's words.

use super::bytes::Bytes;
use super::igmp::igmp;
use super::line::Place;
use super::ppp::discovery;
use super::stp::stp;
use super::transport::protocol_name;
use crate::decode::Proto;
use std::fmt::Write;

/// Ethernet type of PPP.
const PPP: u16 = 0x880b;

/// Everything that has no file of its own.
pub fn other(proto: Proto, place: &Place<'_>, out: &mut String) -> Option<()> {
    let bytes = place.bytes;
    let _ = match proto {
        Proto::Vxlan | Proto::VxlanGpe => {
            let flags = bytes.u8(0)?;
            let name = if flags & 0x08 != 0 { "I" } else { "." };
            let kind = if proto == Proto::Vxlan { "VXLAN" } else { "VXLAN-GPE" };
            write!(out, "{kind}, flags [{name}] (0x{flags:02x}), vni {}: ", bytes.be32(4)? >> 8)
        }
        Proto::Geneve => {
            out.push_str("Geneve");
            let vni = bytes.be32(4)? >> 8;
            let flags = match bytes.u8(1)? >> 6 {
                0 => "none",
                1 => "C",
                2 => "O",
                _ => "OC",
            };
            let _ = write!(out, ", Flags [{flags}], vni 0x{vni:x}");
            let options = usize::from(bytes.u8(0)? & 0x3f) * 4;
            if options > 0 {
                let _ = write!(out, ", options [{options} bytes]");
            }
            write!(out, ": ")
        }
        Proto::Gre => return gre(place, out),
        Proto::Mpls => {
            out.push_str("MPLS");
            for entry in bytes.0.chunks_exact(4) {
                let entry = Bytes(entry).be32(0)?;
                let is_bottom = entry & 0x100 != 0;
                let bottom = if is_bottom { ", [S]" } else { "" };
                let (label, class, ttl) = (entry >> 12, entry >> 9 & 7, entry & 0xff);
                let _ = write!(out, " (label {label}, tc {class}{bottom}, ttl {ttl})");
                if is_bottom {
                    break;
                }
            }
            if place.fault {
                return None;
            }
            write!(out, " ")
        }
        Proto::PppoeS => write!(out, "PPPoE  [ses 0x{:x}] ", bytes.be16(2)?),
        Proto::PppoeD => return discovery(place, out),
        Proto::Igmp => return igmp(place, out),
        Proto::UdpEncap => match (bytes.u8(0)?, place.next) {
            (_, Some(Proto::Esp)) => write!(out, "UDP-encap: "),
            (0xff, None) if place.wire == 1 => write!(out, "isakmp-nat-keep-alive"),
            (_, None) => return None,
            _ => write!(out, "NONESP-encap: isakmp"),
        },
        Proto::Gtp => write!(out, "GTP-U, teid 0x{:08x}: ", bytes.be32(4)?),
        Proto::L2tp => write!(out, "l2tp: "),
        Proto::Teredo => write!(out, "Teredo: "),
        Proto::Erspan => write!(out, "ERSPAN: "),
        Proto::Stp => return stp(place, out),
        Proto::Lldp => write!(out, "LLDP, length {}", place.wire),
        Proto::Esp => {
            let (spi, seq) = (bytes.be32(0)?, bytes.be32(4)?);
            write!(out, "ESP(spi=0x{spi:08x},seq=0x{seq:x}), length {}", place.wire)
        }
        Proto::EtherIp => write!(out, "EtherIP: "),
        Proto::Ah => {
            let _ = write!(out, "AH(spi=0x{:08x},seq=0x{:x}): ", bytes.be32(4)?, bytes.be32(8)?);
            return behind(place, (usize::from(bytes.u8(1)?) + 2) * 4, out);
        }
        Proto::Ipv6HopOpts | Proto::Ipv6DstOpts | Proto::Ipv6Routing => {
            let _ = match proto {
                Proto::Ipv6HopOpts => write!(out, "HBH "),
                Proto::Ipv6DstOpts => write!(out, "DSTOPT "),
                _ => write!(out, "srcrt "),
            };
            return behind(place, (usize::from(bytes.u8(1)?) + 1) * 8, out);
        }
        Proto::Ipv6Frag => {
            let word = bytes.be16(2)?;
            let _ = write!(out, "frag ({}|{}) ", word & 0xfff8, place.wire.saturating_sub(8));
            return if word & 0xfff8 == 0 { behind(place, 8, out) } else { Some(()) };
        }
        // Only in front of others, or told by them.
        Proto::Netlink | Proto::Llc | Proto::Data | Proto::Http | Proto::Dns | Proto::Tls | Proto::Erspan1 => Ok(()),
        named => write!(out, "{}, length {}", named.name(), place.wire),
    };
    if place.fault { None } else { Some(()) }
}

/// What an extension header of this length names, where that is no layer.
fn behind(place: &Place<'_>, header: usize, out: &mut String) -> Option<()> {
    if place.fault {
        return None;
    }
    if place.is_last() {
        unopened(place.bytes.u8(0)?, place.wire.saturating_sub(header), out);
    }
    Some(())
}

/// What an IP header or the last extension header names, and how many bytes there are of it, where that is no layer.
pub fn unopened(number: u8, wire: usize, out: &mut String) {
    let _ = match number {
        59 => write!(out, "no next header"), // RFC 8200, 4.7
        _ => write!(out, "{} {wire}", protocol_name(number)),
    };
}

/// RFC 2784 and RFC 2890; version 1: RFC 2637, 4.1.
fn gre(place: &Place<'_>, out: &mut String) -> Option<()> {
    let bytes = place.bytes;
    let (flags, protocol) = (bytes.be16(0)?, bytes.be16(2)?);
    let has = |flag: u16| flags & flag != 0;
    let version = flags & 7;
    let _ = write!(out, "GREv{version}");
    if version > 1 {
        out.push_str(" ERROR: unknown-version");
        return Some(());
    }
    let mut at = if has(0xc000) { 8 } else { 4 };
    if at == 8 && version == 0 {
        let _ = write!(out, ", off 0x{:x}", bytes.be16(6)?);
    }
    if has(0x2000) {
        let _ = match version {
            // Half of the key is the payload's length.
            1 => write!(out, ", call {}", bytes.be16(at + 2)?),
            _ => write!(out, ", key=0x{:x}", bytes.be32(at)?),
        };
        at += 4;
    }
    if has(0x1000) {
        let _ = write!(out, ", seq {}", bytes.be32(at)?);
        at += 4;
    }
    if version == 1 && has(0x0080) {
        let _ = write!(out, ", ack {}", bytes.be32(at)?);
    }
    if version == 1 && !has(0x1000) && protocol == PPP {
        let _ = write!(out, ", no-payload, length {}", place.wire);
        return Some(());
    }
    let _ = write!(out, ", length {}: ", place.wire);
    if place.fault {
        return None;
    }
    if place.is_last() {
        let _ = write!(out, "gre-proto-0x{protocol:x}");
    }
    Some(())
}
