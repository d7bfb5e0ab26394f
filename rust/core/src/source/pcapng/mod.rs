//! The pcapng file format: draft-ietf-opsawg-pcapng.

mod interface;
mod options;

use super::record::{Order, Progress, Sink, array, max_cap_len, pseudo_header_len};
use super::time::TimeScale;
use crate::frame::{Direction, FrameMeta, InterfaceInfo, LinkType};
use options::{Options, text};
use std::collections::HashMap;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, from before 2010.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const CUSTOM: u32 = 0x0000_0bad;
/// The same, for writers that do not want it copied to a changed file.
const CUSTOM_NO_COPY: u32 = 0x4000_0bad;

const SHB_USERAPPL: u16 = 4;
/// `epb_flags` and `pack_flags` have the same number and layout.
const PACKET_FLAGS: u16 = 2;
/// Bit 9 of the flags: the checksum was left to the hardware.
const FLAG_CHECKSUM_NOT_READY: u32 = 1 << 9;

/// Type, length, length again.
const SMALLEST_BLOCK: usize = 12;
/// Largest believed block without its packet, as in Wireshark: 16 MiB.
const LARGEST_BLOCK: usize = 16 << 20;

/// One interface of the current section.
#[derive(Clone, Copy, Debug)]
struct SectionInterface {
    /// Index among all inputs.
    index: u32,
    scale: TimeScale,
    snap_len: u32,
    max_cap_len: u32,
    pseudo_header: u32,
}

/// Reads the blocks of one pcapng file.
#[derive(Debug)]
pub(super) struct PcapngParser {
    order: Order,
    in_section: bool,
    /// The section says that sniffkit wrote it.
    ours: bool,
    interfaces: Vec<SectionInterface>,
    /// How many interfaces of this section have this description.
    repeats: HashMap<InterfaceInfo, u32>,
    custom_blocks: bool,
    /// Index of the interface that stands for custom blocks.
    custom_interface: Option<u32>,
    /// Time of the frame before.
    last_ts: i64,
    /// The first thing that was passed over, and where its block starts in the data.
    odd: Option<(usize, String)>,
}

/// The fixed fields of a packet block.
struct PacketHead {
    interface: SectionInterface,
    /// Counts of the interface's clock; `None` where the block has none.
    time: Option<u64>,
    /// Start of the packet in the block.
    start: usize,
    cap_len: u32,
    frame_len: u32,
}

impl PcapngParser {
    /// `custom_blocks` says whether custom blocks count as frames.
    pub fn new(custom_blocks: bool) -> Self {
        Self {
            order: Order::Little,
            in_section: false,
            ours: false,
            interfaces: Vec::new(),
            repeats: HashMap::new(),
            custom_blocks,
            custom_interface: None,
            last_ts: 0,
            odd: None,
        }
    }

    /// Takes what was passed over in the data that were parsed last.
    pub fn take_odd(&mut self) -> Option<(usize, String)> {
        self.odd.take()
    }

    /// Whether the first section header has been read: before that the file is not a capture.
    pub fn in_section(&self) -> bool {
        self.in_section
    }

    /// Takes every whole block of `data`, which starts at a block.
    pub fn parse(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Progress {
        let mut at = 0;
        loop {
            let rest = &data[at..];
            let (Some(block_type), Some(length)) = (array::<4>(rest, 0), array::<4>(rest, 4)) else {
                return Progress::need(at, SMALLEST_BLOCK);
            };
            // Reads the same in both byte orders.
            if u32::from_le_bytes(block_type) == SECTION_HEADER {
                match byte_order(rest) {
                    Ok(Some(order)) => self.order = order,
                    Ok(None) => return Progress::need(at, SMALLEST_BLOCK),
                    Err(what) => return Progress::damage(at, what),
                }
            } else if !self.in_section {
                return Progress::damage(at, "the file does not begin with a section header block".to_owned());
            }
            let block_type = self.order.u32(block_type);
            let length = self.order.u32(length);
            if (length as usize) < SMALLEST_BLOCK {
                return Progress::damage(at, format!("a block of {length} bytes, {SMALLEST_BLOCK} needed"));
            }
            // Some writers give a length that is not padded to 4 bytes, but pad the block.
            let size = (length as usize).next_multiple_of(4);
            if size > LARGEST_BLOCK {
                match self.check_large(block_type, size, rest) {
                    Ok(None) => {}
                    Ok(Some(need)) => return Progress::need(at, need),
                    Err(what) => return Progress::damage(at, what),
                }
            }
            let Some(block) = rest.get(..size) else {
                return Progress::need(at, size);
            };
            let trailer = array::<4>(block, size - 4).map_or(0, |bytes| self.order.u32(bytes));
            if trailer != length {
                return Progress::damage(at, format!("a block of {length} bytes whose end says {trailer}"));
            }
            if let Err(what) = self.block(block_type, block, at, sink) {
                return Progress::damage(at, what);
            }
            at += size;
        }
    }

    /// A block beyond the usual limit is believed only when it holds a packet that may be so long. Gives the bytes that
    /// are needed to tell, or an error.
    fn check_large(&self, block_type: u32, size: usize, block: &[u8]) -> Result<Option<usize>, String> {
        if !matches!(block_type, PACKET | ENHANCED_PACKET | SIMPLE_PACKET) {
            return Err(format!("a block of {size} bytes, more than the possible {LARGEST_BLOCK}"));
        }
        if block.len() < 28 {
            return Ok(Some(28));
        }
        let head = self.packet_head(block_type, block, size)?;
        if size - head.cap_len as usize > LARGEST_BLOCK {
            return Err(format!("a block of {size} bytes for a packet of {}", head.cap_len));
        }
        Ok(None)
    }

    /// One whole block, which starts at `at` of the buffer.
    #[inline]
    fn block(&mut self, block_type: u32, block: &[u8], at: usize, sink: &mut Sink<'_>) -> Result<(), String> {
        match block_type {
            ENHANCED_PACKET | PACKET | SIMPLE_PACKET => self.packet(block_type, block, at, sink),
            SECTION_HEADER => self.section(block),
            INTERFACE_DESCRIPTION => self.interface(block, at, sink),
            CUSTOM | CUSTOM_NO_COPY if self.custom_blocks => self.custom(block, at, sink),
            // Name resolution, statistics, secrets, and whatever the future brings.
            _ => Ok(()),
        }
    }

    fn section(&mut self, block: &[u8]) -> Result<(), String> {
        // Byte order magic, version, section length, then options.
        let Some([major_a, major_b, minor_a, minor_b]) = array::<4>(block, 12).filter(|_| block.len() >= 28) else {
            return Err(format!("a section header block of {} bytes, 28 needed", block.len()));
        };
        let major = self.order.u16([major_a, major_b]);
        if major != 1 {
            let minor = self.order.u16([minor_a, minor_b]);
            return Err(format!("pcapng version {major}.{minor} is not known"));
        }
        self.ours = false;
        for option in Options::new(&block[24..block.len() - 4], self.order) {
            let option = option.map_err(|what| format!("section header block: {what}"))?;
            if option.code == SHB_USERAPPL {
                self.ours = text(option.value).starts_with("sniffkit");
            }
        }
        self.in_section = true;
        self.interfaces.clear();
        self.repeats.clear();
        Ok(())
    }

    fn interface(&mut self, block: &[u8], at: usize, sink: &mut Sink<'_>) -> Result<(), String> {
        let description = interface::parse(&block[8..block.len() - 4], self.order, self.ours)?;
        self.odd = self.odd.take().or(description.odd.map(|what| (at, what)));
        let info = description.info;
        let (link_type, snap_len) = (info.link_type, info.snap_len);
        let repeat = self.repeats.entry(info.clone()).or_default();
        let index = sink.interfaces.register(info, *repeat).ok_or("more interfaces than any capture has")?;
        *repeat += 1;
        self.interfaces.push(SectionInterface {
            index,
            scale: description.scale,
            snap_len,
            max_cap_len: max_cap_len(link_type),
            pseudo_header: pseudo_header_len(link_type),
        });
        Ok(())
    }

    /// The fixed fields, with the packet's length checked against interface and block.
    #[inline]
    fn packet_head(&self, block_type: u32, block: &[u8], size: usize) -> Result<PacketHead, String> {
        let order = self.order;
        let field = |at: usize| array::<4>(block, at).map(|bytes| order.u32(bytes));
        let short = || format!("a packet block of {size} bytes, too short for its fields");
        let (id, start) = match block_type {
            SIMPLE_PACKET => (0, 12),
            PACKET => (u32::from(order.u16(array(block, 8).ok_or_else(short)?)), 28),
            _ => (field(8).ok_or_else(short)?, 28),
        };
        if size < start + 4 {
            return Err(short());
        }
        let interface = self.interfaces.get(id as usize).copied().ok_or_else(|| match self.interfaces.len() {
            0 => "a packet before any interface block".to_owned(),
            known => format!("a packet of interface {id}, but the section has {known}"),
        })?;
        let room = size - start - 4;
        if block_type == SIMPLE_PACKET {
            let frame_len = field(8).ok_or_else(short)?;
            // The captured length is not written: it is what the snap length left of the packet.
            let mut cap_len = frame_len.min(u32::try_from(room).unwrap_or(u32::MAX));
            if interface.snap_len != 0 {
                cap_len = cap_len.min(interface.snap_len);
            }
            if cap_len > interface.max_cap_len {
                return Err(too_long(cap_len, interface.max_cap_len));
            }
            return Ok(PacketHead { interface, time: None, start, cap_len, frame_len });
        }
        let (Some(high), Some(low), Some(cap_len), Some(frame_len)) = (field(12), field(16), field(20), field(24))
        else {
            return Err(short());
        };
        if cap_len > interface.max_cap_len {
            return Err(too_long(cap_len, interface.max_cap_len));
        }
        if cap_len as usize > room {
            return Err(format!("a packet of {cap_len} bytes in a block with room for {room}"));
        }
        Ok(PacketHead { interface, time: Some(u64::from(high) << 32 | u64::from(low)), start, cap_len, frame_len })
    }

    #[inline]
    fn packet(&mut self, block_type: u32, block: &[u8], at: usize, sink: &mut Sink<'_>) -> Result<(), String> {
        let head = self.packet_head(block_type, block, block.len())?;
        let (mut direction, mut checksum_offloaded) = (Direction::Unknown, false);
        let options_at = head.start + (head.cap_len as usize).next_multiple_of(4);
        if block_type != SIMPLE_PACKET && options_at < block.len() - 4 {
            for option in Options::new(&block[options_at..block.len() - 4], self.order) {
                let option = option.map_err(|what| format!("packet block: {what}"))?;
                if let (PACKET_FLAGS, Some(flags)) = (option.code, array::<4>(option.value, 0)) {
                    let flags = self.order.u32(flags);
                    direction = match flags & 3 {
                        1 => Direction::In,
                        2 => Direction::Out,
                        _ => Direction::Unknown,
                    };
                    checksum_offloaded = flags & FLAG_CHECKSUM_NOT_READY != 0;
                }
            }
        }
        let ts = head.time.and_then(|count| head.interface.scale.nanos(count));
        self.last_ts = ts.unwrap_or(self.last_ts);
        let skip = head.interface.pseudo_header.min(head.cap_len);
        *sink.number += 1;
        sink.frames.push(FrameMeta {
            ts: self.last_ts,
            number: *sink.number,
            offset: (at + head.start) as u32 + skip,
            cap_len: head.cap_len - skip,
            frame_len: head.frame_len.saturating_sub(skip),
            interface: head.interface.index,
            direction,
            checksum_offloaded,
            ts_missing: ts.is_none(),
            put_together: false,
        });
        Ok(())
    }

    /// A custom block as a frame: what follows the enterprise number.
    fn custom(&mut self, block: &[u8], at: usize, sink: &mut Sink<'_>) -> Result<(), String> {
        let Some(len) = block.len().checked_sub(16) else {
            return Err(format!("a custom block of {} bytes, 16 needed", block.len()));
        };
        let interface = match self.custom_interface {
            Some(index) => index,
            None => sink
                .interfaces
                .register(InterfaceInfo::anonymous(LinkType::CUSTOM_BLOCK, 0), 0)
                .ok_or("more interfaces than any capture has")?,
        };
        self.custom_interface = Some(interface);
        *sink.number += 1;
        let len = len as u32;
        sink.frames.push(FrameMeta {
            ts: self.last_ts,
            number: *sink.number,
            offset: (at + 12) as u32,
            cap_len: len,
            frame_len: len,
            interface,
            ts_missing: true,
            ..FrameMeta::default()
        });
        Ok(())
    }
}

/// The byte order of the section that starts here; `None` when its first 12 bytes are not all there.
fn byte_order(block: &[u8]) -> Result<Option<Order>, String> {
    match array::<4>(block, 8) {
        None => Ok(None),
        Some([0x4d, 0x3c, 0x2b, 0x1a]) => Ok(Some(Order::Little)),
        Some([0x1a, 0x2b, 0x3c, 0x4d]) => Ok(Some(Order::Big)),
        Some(magic) => Err(format!("a section header with byte order magic {:08x}", u32::from_be_bytes(magic))),
    }
}

fn too_long(cap_len: u32, max: u32) -> String {
    format!("a packet of {cap_len} bytes, more than the possible {max}")
}
