//! Encoding of pcapng blocks (draft-ietf-opsawg-pcapng), in little-endian order.

use super::SNAP_LEN;
use crate::frame::{Direction, FrameMeta, InterfaceInfo};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const OPT_COMMENT: u16 = 1;
/// An option's length field has 16 bits.
const MAX_OPTION: usize = u16::MAX as usize;
/// `epb_flags`: the checksum was left to the hardware.
const FLAG_CHECKSUM_NOT_READY: u32 = 1 << 9;

/// What the section header of every file says of the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionInfo {
    /// `shb_userappl`. Readers take a name that begins with "sniffkit" as the sign that interface names hold the
    /// namespace before a slash.
    pub application: String,
    /// `shb_hardware`.
    pub hardware: Option<String>,
    /// `shb_os`.
    pub os: Option<String>,
    /// Comments: the command, the topology. One longer than 65,535 bytes becomes several.
    pub comments: Vec<String>,
}

impl Default for SectionInfo {
    fn default() -> Self {
        Self {
            application: concat!("sniffkit ", env!("CARGO_PKG_VERSION")).to_owned(),
            hardware: None,
            os: None,
            comments: Vec::new(),
        }
    }
}

/// Counters of one interface, from the beginning of the capture; `None` where unknown. Times in ns since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStatistics {
    /// `isb_starttime`; the writer knows its own start when this is `None`.
    pub start: Option<i64>,
    /// `isb_endtime`; the writer takes the time it is closed when this is `None`.
    pub end: Option<i64>,
    /// `isb_ifrecv`: packets that the interface received.
    pub received: Option<u64>,
    /// `isb_ifdrop`: packets that the interface dropped for want of resources.
    pub dropped: Option<u64>,
    /// `isb_filteraccept`: packets that the filter accepted.
    pub filter_accepted: Option<u64>,
    /// `isb_osdrop`: packets that the kernel dropped.
    pub os_dropped: Option<u64>,
    /// `isb_usrdeliv`: packets delivered to the capture; the writer counts its own when this is `None`.
    pub delivered: Option<u64>,
}

/// Builds one block: the lengths are filled in at the end.
struct Block<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Block<'a> {
    fn begin(out: &'a mut Vec<u8>, block_type: u32) -> Self {
        let start = out.len();
        out.extend_from_slice(&block_type.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        Self { out, start }
    }

    fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A time or a counter that is split into two words, the upper first.
    fn split(&mut self, value: u64) {
        self.u32((value >> 32) as u32);
        self.u32(value as u32);
    }

    fn pad(&mut self) {
        let len = self.out.len() - self.start;
        self.out.resize(self.start + len.next_multiple_of(4), 0);
    }

    /// An option; the value must fit 16 bits of length.
    fn option(&mut self, code: u16, value: &[u8]) {
        self.u16(code);
        self.u16(value.len() as u16);
        self.out.extend_from_slice(value);
        self.pad();
    }

    /// A text option, cut where it does not fit.
    fn text(&mut self, code: u16, text: &str) {
        self.option(code, fitting(text, MAX_OPTION).as_bytes());
    }

    fn end_of_options(&mut self) {
        self.u32(0);
    }

    fn end(self) {
        let len = (self.out.len() - self.start + 4) as u32;
        self.out[self.start + 4..self.start + 8].copy_from_slice(&len.to_le_bytes());
        self.out.extend_from_slice(&len.to_le_bytes());
    }
}

/// As much of `text` as fits `max` bytes, whole characters only.
fn fitting(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

/// Appends a Section Header Block.
pub(super) fn section_header(out: &mut Vec<u8>, section: &SectionInfo) {
    let mut block = Block::begin(out, SECTION_HEADER);
    block.u32(0x1a2b_3c4d);
    block.u16(1);
    block.u16(0);
    // Length of the section: unknown, as in every file that is still being written.
    block.u32(u32::MAX);
    block.u32(u32::MAX);
    for comment in &section.comments {
        let mut rest = comment.as_str();
        while !rest.is_empty() {
            let part = fitting(rest, MAX_OPTION);
            block.text(OPT_COMMENT, part);
            rest = &rest[part.len()..];
        }
    }
    let hardware = section.hardware.as_deref();
    for (code, text) in [(2, hardware), (3, section.os.as_deref()), (4, Some(section.application.as_str()))] {
        if let Some(text) = text {
            block.text(code, text);
        }
    }
    block.end_of_options();
    block.end();
}

/// The interface's name with its namespace, as `if_name` holds it.
pub(super) fn interface_name(info: &InterfaceInfo) -> Option<String> {
    match (&info.netns, &info.name) {
        (Some(netns), Some(name)) => Some(format!("{netns}/{name}")),
        (_, name) => name.clone(),
    }
}

/// Appends an Interface Description Block; `link_type` is `info`'s as the file holds it.
pub(super) fn interface(out: &mut Vec<u8>, info: &InterfaceInfo, link_type: u16) {
    let mut block = Block::begin(out, INTERFACE_DESCRIPTION);
    block.u16(link_type);
    block.u16(0);
    // The same for all interfaces, or tcpdump refuses the file.
    block.u32(SNAP_LEN);
    if let Some(name) = interface_name(info) {
        block.text(2, &name);
    }
    if let Some(description) = &info.description {
        block.text(3, description);
    }
    block.option(9, &[9]);
    if let Some(filter) = &info.filter {
        let mut value = vec![0];
        value.extend_from_slice(fitting(filter, MAX_OPTION - 1).as_bytes());
        block.option(11, &value);
    }
    block.end_of_options();
    block.end();
}

/// Bytes of an Enhanced Packet Block in front of its frame's.
const PACKET_HEADER: usize = 28;

/// Bytes of the options of a frame that has flags.
const FLAGS_OPTIONS: usize = 12;

/// `epb_flags` of a frame.
#[inline]
fn packet_flags(frame: &FrameMeta) -> u32 {
    let direction = match frame.direction {
        Direction::Unknown => 0,
        Direction::In => 1,
        Direction::Out => 2,
    };
    direction | if frame.checksum_offloaded { FLAG_CHECKSUM_NOT_READY } else { 0 }
}

/// Length of the block of a frame of so many bytes that has these flags.
#[inline]
fn packet_len(len: usize, flags: u32) -> usize {
    PACKET_HEADER + len.next_multiple_of(4) + if flags != 0 { FLAGS_OPTIONS } else { 0 } + 4
}

/// Appends an Enhanced Packet Block of a frame whose bytes lie in one or several places; gives the place of the first of them.
/// `None` for a time before 1970, which the format cannot hold.
#[inline]
pub(crate) fn packet<const N: usize>(out: &mut Vec<u8>, frame: &FrameMeta, parts: [&[u8]; N]) -> Option<usize> {
    let ts = u64::try_from(frame.ts).ok()?;
    let flags = packet_flags(frame);
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let padding = len.next_multiple_of(4) - len;
    let mut behind = [0; 3 + FLAGS_OPTIONS + 4];
    let mut at = padding;
    if flags != 0 {
        // `epb_flags`, four bytes of it; the end of the options is zeros.
        behind[at..at + 4].copy_from_slice(&[2, 0, 4, 0]);
        behind[at + 4..at + 8].copy_from_slice(&flags.to_le_bytes());
        at += FLAGS_OPTIONS;
    }
    let total = packet_len(len, flags) as u32;
    behind[at..at + 4].copy_from_slice(&total.to_le_bytes());
    let words = [ENHANCED_PACKET, total, frame.interface, (ts >> 32) as u32, ts as u32, len as u32, frame.frame_len];
    let mut header = [0; PACKET_HEADER];
    for (place, word) in header.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    out.reserve(total as usize);
    out.extend_from_slice(&header);
    let start = out.len();
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(&behind[..at + 4]);
    Some(start)
}

/// How many of these frames, from the first on, stand in blocks of [`packet`] one behind the other, and these blocks. The
/// bytes of each must stand in one. Looks at none of them: they are in another processor's cache.
pub(super) fn packets_in_a_row<'a>(data: &'a [u8], frames: &[FrameMeta]) -> (usize, &'a [u8]) {
    let start = frames.first().map_or(0, |first| first.offset as usize - PACKET_HEADER);
    let mut end = start;
    let in_a_row = frames.iter().take_while(|frame| {
        let goes_on = end == frame.offset as usize - PACKET_HEADER;
        end += if goes_on { packet_len(frame.cap_len as usize, packet_flags(frame)) } else { 0 };
        goes_on
    });
    (in_a_row.count(), &data[start..end])
}

/// Appends an Interface Statistics Block, written at `now` (ns since the epoch).
pub(super) fn statistics(out: &mut Vec<u8>, interface: u32, now: i64, statistics: &InterfaceStatistics) {
    let mut block = Block::begin(out, INTERFACE_STATISTICS);
    block.u32(interface);
    block.split(u64::try_from(now).unwrap_or(0));
    for (code, time) in [(2, statistics.start), (3, statistics.end)] {
        if let Some(time) = time.and_then(|time| u64::try_from(time).ok()) {
            block.u16(code);
            block.u16(8);
            block.split(time);
        }
    }
    let counters = [
        (4, statistics.received),
        (5, statistics.dropped),
        (6, statistics.filter_accepted),
        (7, statistics.os_dropped),
        (8, statistics.delivered),
    ];
    for (code, counter) in counters {
        if let Some(counter) = counter {
            block.option(code, &counter.to_le_bytes());
        }
    }
    block.end_of_options();
    block.end();
}
