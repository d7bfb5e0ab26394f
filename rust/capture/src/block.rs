//! What the kernel writes into a block of the ring, as frames: VLAN tags and cooked headers put in their place.
//!
//! Source: packet(7), `linux/if_packet.h`

use crate::interface::Interface;
use sniffkit_core::frame::{Direction, FrameBatch, FrameMeta, LinkType};

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_ne_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
}

/// Reads the frames of a block: `struct tpacket_block_desc`, then a chain of `struct tpacket3_hdr`.
pub fn parse_block(block: &[u8], interface: &Interface, index: u32, snap_len: usize, batch: &mut FrameBatch) {
    let frames = u32_at(block, 12);
    let mut at = u32_at(block, 16) as usize;
    for _ in 0..frames {
        let Some(header) = block.get(at..) else { return };
        parse_frame(header, interface, index, snap_len, batch);
        match u32_at(header, 0) as usize {
            0 => return,
            next => at += next,
        }
    }
}

fn parse_frame(header: &[u8], interface: &Interface, index: u32, snap_len: usize, batch: &mut FrameBatch) {
    // struct tpacket3_hdr: next, sec, nsec, snaplen, len, status: u32; mac, net: u16; hv1: rxhash, vlan_tci: u32,
    // vlan_tpid: u16 …; then, aligned to 16, struct sockaddr_ll at 48
    const ADDRESS: usize = 48;
    let (sec, nsec, snap, len) = (u32_at(header, 4), u32_at(header, 8), u32_at(header, 12), u32_at(header, 16));
    let status = u32_at(header, 20);
    let start = usize::from(u16_at(header, 24));
    let Some(bytes) = header.get(start..start + snap as usize) else { return };
    let address = header.get(ADDRESS..ADDRESS + 20).unwrap_or(&[]);
    let outgoing = address.get(10) == Some(&libc::PACKET_OUTGOING);
    let mut meta = FrameMeta {
        ts: i64::from(sec) * 1_000_000_000 + i64::from(nsec),
        number: 0,
        offset: 0,
        cap_len: snap,
        frame_len: len,
        interface: index,
        direction: if outgoing { Direction::Out } else { Direction::In },
        checksum_offloaded: status & libc::TP_STATUS_CSUMNOTREADY != 0,
        ts_missing: false,
        put_together: false,
    };
    let tag = (status & libc::TP_STATUS_VLAN_VALID != 0).then(|| {
        let tpid = if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 { u16_at(header, 36) } else { 0x8100 };
        let ([a, b], [c, d]) = (tpid.to_be_bytes(), (u32_at(header, 32) as u16).to_be_bytes());
        [a, b, c, d]
    });
    if interface.cooked {
        let before = usize::from(u16_at(header, 26)).saturating_sub(start);
        let link = link_header(address, bytes, before.min(bytes.len()), tag.is_some());
        let (cooked, used) = cooked_header(interface.link_type, address, link.protocol, tag);
        let cooked = &cooked[..used];
        meta.frame_len = (meta.frame_len + cooked.len() as u32).saturating_sub(link.len as u32);
        meta.put_together = true;
        batch.push_parts(meta, within(snap_len, [cooked, &bytes[link.len..]]));
    } else if let Some(tag) = tag {
        meta.frame_len += 4;
        meta.put_together = true;
        let (addresses, rest) = bytes.split_at(bytes.len().min(12));
        // A snap length that cuts into the addresses leaves no place for the tag.
        let tag = if addresses.len() == 12 { &tag[..] } else { &[] };
        batch.push_parts(meta, within(snap_len, [addresses, tag, rest]));
    } else {
        batch.push(meta, bytes);
    }
}

/// The parts, cut where together they exceed `room` bytes: what is put in front counts, as with tcpdump.
fn within<const N: usize>(mut room: usize, parts: [&[u8]; N]) -> [&[u8]; N] {
    parts.map(|part| {
        let part = &part[..part.len().min(room)];
        room -= part.len();
        part
    })
}

/// The link header that a cooked one takes the place of.
#[derive(Debug, PartialEq)]
struct Link {
    len: usize,
    /// Of what follows, as SLL2 numbers it: an EtherType, or 1 and 4 for 802.3 (`linux/if_ether.h`). Behind a tag stands what
    /// stood on the wire, a length for 802.3.
    protocol: [u8; 2],
}

/// What stands before the packet. An Ethernet header is read here: for tags that are still in the frame the kernel gives
/// no protocol that fits where it has the packet begin, and to a socket without link headers (SOCK_DGRAM) not even the
/// inner tags of what is sent. Of other hardware it knows what follows its `before` bytes.
fn link_header(address: &[u8], bytes: &[u8], before: usize, is_tagged: bool) -> Link {
    const ETHERNET: [u16; 2] = [libc::ARPHRD_ETHER, libc::ARPHRD_LOOPBACK];
    let of_kernel = address.get(2..4).map_or([0; 2], |protocol| [protocol[0], protocol[1]]);
    match bytes.get(12..14) {
        Some(&[a, b]) if ETHERNET.contains(&u16_at(address, 8)) => {
            let protocol = match (u16::from_be_bytes([a, b]), bytes.get(14..16)) {
                (0x600.., _) => [a, b],
                _ if is_tagged => [a, b],
                (_, Some([0xff, 0xff])) => [0, libc::ETH_P_802_3 as u8],
                _ => [0, libc::ETH_P_802_2 as u8],
            };
            Link { len: 14, protocol }
        }
        _ => Link { len: before, protocol: of_kernel },
    }
}

/// The header that stands in for the link's own, made from the packet's address, and its length: LINKTYPE_LINUX_SLL2 (a
/// VLAN tag follows it), or the older one that LINKTYPE_NETLINK begins with.
///
/// Source: <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>, …/LINKTYPE_NETLINK.html
fn cooked_header(link_type: LinkType, address: &[u8], protocol: [u8; 2], tag: Option<[u8; 4]>) -> ([u8; 24], usize) {
    let at = |i: usize| address.get(i).copied().unwrap_or(0);
    let (index, hardware) = (u32_at(address, 4).to_be_bytes(), u16_at(address, 8).to_be_bytes());
    let (packet_type, address_len) = (at(10), at(11).min(8));
    // What stands behind the address is left from whatever was there before.
    let mut own = [0; 8];
    let len = usize::from(address_len);
    own[..len].copy_from_slice(address.get(12..12 + len).unwrap_or(&[0; 8][..len]));
    let mut out = [0; 24];
    if link_type == LinkType::NETLINK {
        out[1] = packet_type;
        out[2..4].copy_from_slice(&hardware);
        out[5] = address_len;
        out[6..14].copy_from_slice(&own);
        out[14..16].copy_from_slice(&protocol);
        return (out, 16);
    }
    out[..2].copy_from_slice(&protocol);
    out[4..8].copy_from_slice(&index);
    out[8..10].copy_from_slice(&hardware);
    out[10] = packet_type;
    out[11] = address_len;
    out[12..20].copy_from_slice(&own);
    let Some([a, b, c, d]) = tag else { return (out, 20) };
    out[..2].copy_from_slice(&[a, b]);
    out[20..22].copy_from_slice(&[c, d]);
    out[22..].copy_from_slice(&protocol);
    (out, 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_the_kernel_structures() {
        use std::mem::offset_of;
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_sec), 4);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_snaplen), 12);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_len), 16);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_status), 20);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_mac), 24);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_net), 26);
        assert_eq!(offset_of!(libc::tpacket3_hdr, hv1), 28);
        assert_eq!(offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci), 4);
        assert_eq!(offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid), 8);
        assert_eq!(std::mem::size_of::<libc::tpacket3_hdr>().next_multiple_of(16), 48);
        assert_eq!(offset_of!(libc::sockaddr_ll, sll_pkttype), 10);
    }

    /// `struct sockaddr_ll`: family, protocol (network order), index, hardware type, packet type, address.
    fn address(protocol: u16, index: i32, hardware: u16, packet_type: u8) -> Vec<u8> {
        let mut out = 17u16.to_ne_bytes().to_vec();
        out.extend_from_slice(&protocol.to_be_bytes());
        out.extend_from_slice(&index.to_ne_bytes());
        out.extend_from_slice(&hardware.to_ne_bytes());
        out.extend_from_slice(&[packet_type, 6, 2, 0, 0, 0, 0, 1, 0xde, 0xad]);
        out
    }

    #[test]
    fn cooked_headers() {
        let (header, used) = cooked_header(LinkType::LINUX_SLL2, &address(0x0800, 5, 1, 4), [8, 0], None);
        assert_eq!(header[..used], [8, 0, 0, 0, 0, 0, 0, 5, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
        let tag = Some([0x81, 0, 0, 7]);
        let (header, used) = cooked_header(LinkType::LINUX_SLL2, &address(0x0800, 5, 1, 4), [8, 0], tag);
        assert_eq!(used, 24);
        assert_eq!((&header[..2], &header[20..]), (&[0x81, 0][..], &[0, 7, 8, 0][..]));
        // a netlink message to NETLINK_GENERIC (16) from user space (PACKET_USER, 6)
        let (header, used) = cooked_header(LinkType::NETLINK, &address(16, 9, 824, 6), [0, 16], None);
        assert_eq!(header[..used], [0, 6, 3, 56, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0, 16]);
    }

    #[test]
    fn link_headers() {
        let frame = |rest: &[u8]| [&[2; 12], rest].concat();
        // Two tags that are still there: the kernel says what is behind them.
        let link =
            link_header(&address(0x0800, 5, 1, 4), &frame(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 8, 0, 0x45]), 14, true);
        assert_eq!(link, Link { len: 14, protocol: [0x88, 0xa8] });
        let link = link_header(&address(0x26, 5, 1, 4), &frame(&[0, 0x26, 0x42, 0x42, 3]), 14, false);
        assert_eq!(link, Link { len: 14, protocol: [0, 4] });
        let link = link_header(&address(0x26, 5, 1, 4), &frame(&[0, 0x26, 0x42, 0x42, 3]), 14, true);
        assert_eq!(link, Link { len: 14, protocol: [0, 0x26] });
        let link = link_header(&address(0x26, 5, 1, 4), &frame(&[0, 0x26, 0xff, 0xff, 0]), 14, false);
        assert_eq!(link, Link { len: 14, protocol: [0, 1] });
        // GRE with the header that it will send, and a frame that is cut in its addresses.
        let link = link_header(&address(0x0800, 5, 778, 4), &[0; 60], 24, false);
        assert_eq!(link, Link { len: 24, protocol: [8, 0] });
        assert_eq!(link_header(&address(0x0800, 5, 1, 4), &[2; 13], 13, false).len, 13);
    }

    #[test]
    fn parts_are_cut_together() {
        assert_eq!(within(5, [b"abc", b"def", b"ghi"]), [&b"abc"[..], b"de", b""]);
    }
}
