//! The pcap file format: draft-ietf-opsawg-pcap, and its older relatives that libpcap still reads.

use super::magic::{HEAD_LEN, PcapFlavour};
use super::record::{Order, Progress, Sink, array, max_cap_len, pseudo_header_len};
use crate::frame::{FrameMeta, InterfaceInfo, LinkType};

/// The lower bits of the last header field; above them stand the FCS length and its flag.
const LINK_TYPE_MASK: u32 = 0x03ff_ffff;

/// Whether the two lengths of a record stand in the wrong order, as old programs wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    WireFirst,
    /// Format 2.3: the smaller one is the captured length.
    Either,
}

/// Reads the records of one pcap file.
#[derive(Debug)]
pub(super) struct PcapParser {
    flavour: PcapFlavour,
    lengths: Lengths,
    link_type: LinkType,
    snap_len: u32,
    /// Longest believable captured length.
    max_cap_len: u32,
    pseudo_header: u32,
    interface: u32,
}

impl PcapParser {
    /// From the 24-byte file header.
    ///
    /// # Errors
    /// One line that says why the file cannot be read.
    pub fn new(flavour: PcapFlavour, header: &[u8]) -> Result<Self, String> {
        let order = flavour.order;
        let Some(header) = header.first_chunk::<HEAD_LEN>() else {
            return Err(format!("truncated in the pcap file header: {HEAD_LEN} bytes needed, {} there", header.len()));
        };
        let major = order.u16([header[4], header[5]]);
        let minor = order.u16([header[6], header[7]]);
        let lengths = match (major, minor) {
            (2, 0..=2) | (543, _) => Lengths::WireFirst,
            (2, 3) => Lengths::Either,
            (2, _) => Lengths::CapturedFirst,
            _ => return Err(format!("pcap version {major}.{minor} is not known")),
        };
        let field = |at: usize| order.u32([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let link_type = LinkType(field(20) & LINK_TYPE_MASK);
        Ok(Self {
            flavour,
            lengths,
            link_type,
            snap_len: field(16),
            max_cap_len: max_cap_len(link_type),
            pseudo_header: pseudo_header_len(link_type),
            interface: 0,
        })
    }

    /// The one interface of the file.
    pub fn interface_info(&self) -> InterfaceInfo {
        InterfaceInfo::anonymous(self.link_type, self.snap_len)
    }

    /// Index of that interface among all inputs; to be set before parsing.
    pub fn set_interface(&mut self, index: u32) {
        self.interface = index;
    }

    /// Takes every whole record of `data`, which starts at a record.
    pub fn parse(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Progress {
        // Monomorphic loops, so that the usual files pay for nothing unusual.
        match (self.flavour.order, self.lengths, self.flavour.record_header, self.pseudo_header) {
            (Order::Little, Lengths::CapturedFirst, 16, 0) => self.records::<false, true>(data, sink),
            (Order::Little, ..) => self.records::<false, false>(data, sink),
            (Order::Big, ..) => self.records::<true, false>(data, sink),
        }
    }

    fn records<const BIG: bool, const PLAIN: bool>(&self, data: &[u8], sink: &mut Sink<'_>) -> Progress {
        let u32_at = |header: &[u8; 16], at: usize| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        let record_header = if PLAIN { 16 } else { self.flavour.record_header };
        let mut number = *sink.number;
        let mut at = 0;
        let progress = loop {
            if data.len() - at < record_header {
                break Progress::need(at, record_header);
            }
            let Some(header) = array::<16>(data, at) else {
                break Progress::need(at, record_header);
            };
            let (mut cap_len, mut frame_len) = (u32_at(&header, 8), u32_at(&header, 12));
            if !PLAIN
                && (self.lengths == Lengths::WireFirst || (self.lengths == Lengths::Either && cap_len > frame_len))
            {
                (cap_len, frame_len) = (frame_len, cap_len);
            }
            if cap_len > self.max_cap_len {
                let max = self.max_cap_len;
                break Progress::damage(at, format!("a packet of {cap_len} bytes, more than the possible {max}"));
            }
            let start = at + record_header;
            let end = start + cap_len as usize;
            if end > data.len() {
                break Progress::need(at, end - at);
            }
            let seconds = i64::from(u32_at(&header, 0));
            let fraction = i64::from(u32_at(&header, 4));
            number += 1;
            let skip = if PLAIN { 0 } else { self.pseudo_header.min(cap_len) };
            sink.frames.push(FrameMeta {
                ts: seconds * 1_000_000_000 + fraction * self.flavour.nanos,
                number,
                // Parsers get at most a buffer's worth, which stays far below 4 GiB.
                offset: start as u32 + skip,
                cap_len: cap_len - skip,
                frame_len: frame_len.saturating_sub(skip),
                interface: self.interface,
                ..FrameMeta::default()
            });
            at = end;
        };
        *sink.number = number;
        progress
    }
}
