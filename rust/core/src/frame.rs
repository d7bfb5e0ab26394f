//! Frames: captured bytes with their metadata, in batches that own one buffer.
//!
//! This is the type on the arrow *source → decode*. File readers and the live ring both fill a
//! [`FrameBatch`]; decoders only ever see `&[u8]` slices of it.

use crate::write::pcapng;
use std::sync::Arc;

/// A link-layer header type, numbered as in pcap files (LINKTYPE_*).
///
/// Source: <https://www.tcpdump.org/linktypes.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback: 4-byte address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    /// Ethernet (IEEE 802.3).
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without HDLC-like framing (RFC 1662).
    pub const PPP: Self = Self(9);
    /// Raw IP as some BSDs number it.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IP as OpenBSD numbers it.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPP in HDLC-like framing (RFC 1662).
    pub const PPP_HDLC: Self = Self(50);
    /// PPP over Ethernet, from the PPPoE header on.
    pub const PPP_ETHER: Self = Self(51);
    /// Raw IP; the version nibble tells v4 from v6.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: 4-byte address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture v1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux netlink messages behind a cooked header (nlmon).
    pub const NETLINK: Self = Self(253);
    /// Linux "cooked" capture v2.
    pub const LINUX_SLL2: Self = Self(276);
    /// Not a link layer: the data of a pcapng custom block, which Wireshark counts as a frame too. No LINKTYPE_* is
    /// as large as this, since pcapng gives them 16 bits and pcap 26.
    pub const CUSTOM_BLOCK: Self = Self(0x4000_0bad);
}

/// Which way a frame crossed the interface it was captured on, when the capture knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Not recorded.
    #[default]
    Unknown,
    /// Received by the interface.
    In,
    /// Sent by the interface.
    Out,
}

/// One capture point: an interface in a namespace, or an interface block of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceInfo {
    /// Interface name without its namespace (`veth1`); `None` for plain pcap files.
    pub name: Option<String>,
    /// Namespace name (`ns1`); `None` when the capture does not say.
    pub netns: Option<String>,
    /// `if_description`, when present.
    pub description: Option<String>,
    /// Link-layer type of its frames.
    pub link_type: LinkType,
    /// Longest frame the capture keeps, bytes; 0 means no limit.
    pub snap_len: u32,
    /// Capture filter in force, as text.
    pub filter: Option<String>,
}

impl InterfaceInfo {
    /// An interface of which only the link type is known, as in a pcap file.
    #[must_use]
    pub fn anonymous(link_type: LinkType, snap_len: u32) -> Self {
        Self { name: None, netns: None, description: None, link_type, snap_len, filter: None }
    }

    /// The capture point, `ns1/veth1`, or the name alone where no namespace is known.
    #[must_use]
    pub fn point(&self) -> Option<String> {
        let name = self.name.as_ref()?;
        Some(self.netns.as_ref().map_or_else(|| name.clone(), |netns| format!("{netns}/{name}")))
    }
}

/// The interfaces that a session knows, by [`FrameMeta::interface`]. Only ever grows.
pub type Interfaces = Arc<Vec<Arc<InterfaceInfo>>>;

/// What is known of one frame beside its bytes. Plain data, 40 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameMeta {
    /// Capture time, nanoseconds since 1970-01-01T00:00:00Z.
    pub ts: i64,
    /// Position in the input, from 1.
    pub number: u64,
    /// Start of the captured bytes in [`FrameBatch::data`].
    pub offset: u32,
    /// Captured length, bytes.
    pub cap_len: u32,
    /// Length on the wire, bytes.
    pub frame_len: u32,
    /// Index into [`FrameBatch::interfaces`].
    pub interface: u32,
    /// Direction, when known.
    pub direction: Direction,
    /// The kernel said that the checksum is not filled in yet (offloaded), so it must not be judged.
    pub checksum_offloaded: bool,
    /// The file records no time for this frame (a pcapng Simple Packet Block), or one that 64 bits of nanoseconds cannot
    /// hold. `ts` then repeats the frame before it, so that time does not jump; tables show null.
    pub ts_missing: bool,
    /// A live capture put the frame's tag or header back, which its filter in the kernel did not see.
    pub put_together: bool,
}

/// A run of frames that share one buffer. Batches are recycled between stages, so nothing is allocated a frame.
#[derive(Debug, Default)]
pub struct FrameBatch {
    /// The bytes; frames point into it. May hold more than frames: file headers, padding, and behind them what an
    /// earlier use of the buffer left, because clearing a megabyte a batch costs more than reading it.
    pub data: Vec<u8>,
    /// The frames, in capture order.
    pub frames: Vec<FrameMeta>,
    /// All interfaces known when the batch was filled; every `FrameMeta::interface` is below its length.
    pub interfaces: Interfaces,
    /// How far a list of files has been read with this batch: for a run that is to be taken up again.
    pub reached: Reached,
    /// Each frame that is pushed is put into a block of its own as pcapng files hold it, so that whoever writes one need not
    /// copy it again.
    pub in_blocks: bool,
}

/// A place in a list of files that are read as one: see [`crate::source::MergedFiles`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// How many files of the list, in its order, have been opened.
    pub opened: usize,
    /// Those of them that are not at their end: which one, and how many of its frames were taken.
    pub reading: Vec<(usize, u64)>,
    /// The number of the last frame, those counted that a filter leaves out.
    pub number: u64,
    /// What was wrong with files since the batch before.
    pub warnings: Vec<crate::source::Warning>,
}

impl FrameBatch {
    /// The captured bytes of one frame of this batch.
    #[must_use]
    pub fn bytes(&self, meta: &FrameMeta) -> &[u8] {
        let start = meta.offset as usize;
        &self.data[start..start + meta.cap_len as usize]
    }

    /// Brings the headers of all frames into the cache. Worth it where their bytes came a while ago: memory answers for many
    /// in about the time of one.
    pub fn bring(&self) {
        let mut read = 0;
        for meta in &self.frames {
            let frame = self.bytes(meta);
            read ^= frame.first().copied().unwrap_or(0) ^ frame.get(64).copied().unwrap_or(0);
        }
        std::hint::black_box(read);
    }

    /// Forgets the frames and keeps the allocations.
    pub fn clear(&mut self) {
        self.data.clear();
        self.frames.clear();
    }

    /// Appends one frame by copying its bytes; `meta.offset` and `meta.cap_len` are set here.
    pub fn push(&mut self, meta: FrameMeta, bytes: &[u8]) {
        self.push_parts(meta, [bytes]);
    }

    /// The same for a frame whose bytes lie in several places.
    pub fn push_parts<const N: usize>(&mut self, mut meta: FrameMeta, parts: [&[u8]; N]) {
        let block = if self.in_blocks { pcapng::packet(&mut self.data, &meta, parts) } else { None };
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let start = block.unwrap_or_else(|| {
            self.in_blocks = false;
            let start = self.data.len();
            parts.iter().for_each(|part| self.data.extend_from_slice(part));
            start
        });
        meta.offset = u32::try_from(start).expect("a batch stays under 4 GiB");
        meta.cap_len = u32::try_from(len).expect("a frame stays under 4 GiB");
        self.frames.push(meta);
    }
}
