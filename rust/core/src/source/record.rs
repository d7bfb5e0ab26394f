//! What the two file formats share: how a parser reports its progress, byte order, limits of a packet's length.

use super::interfaces::InterfaceTable;
use crate::frame::{FrameMeta, LinkType};

/// Where a parser puts what it finds.
pub(super) struct Sink<'a> {
    pub frames: &'a mut Vec<FrameMeta>,
    /// Number of the last frame of all inputs so far.
    pub number: &'a mut u64,
    pub interfaces: &'a mut InterfaceTable,
}

/// Why a parser stopped; positions count from the start of the data it was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The next record (or its header) takes this many bytes in all; fewer are there. Never more than a checked limit.
    Need(usize),
    /// The data cannot be a capture from here on.
    Damage { at: usize, what: String },
}

/// How far a parser came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes of whole records taken.
    pub consumed: usize,
    pub stop: Stop,
}

impl Progress {
    pub fn need(consumed: usize, bytes: usize) -> Self {
        Self { consumed, stop: Stop::Need(bytes) }
    }

    pub fn damage(at: usize, what: String) -> Self {
        Self { consumed: at, stop: Stop::Damage { at, what } }
    }
}

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    #[inline]
    pub fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }
}

/// The `N` bytes at `at`, when they are there.
#[inline]
pub(super) fn array<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..)?.first_chunk::<N>().copied()
}

/// The longest captured frame that is believed, bytes. More than this is damage, as in Wireshark and libpcap.
pub(super) fn max_cap_len(link_type: LinkType) -> u32 {
    match link_type.0 {
        // D-Bus messages, USB as USBPcap writes it.
        231 | 249 => 128 << 20,
        // EBHSCR (Elektrobit high-speed capture).
        279 => 32 << 20,
        _ => 262_144,
    }
}

/// Bytes that the capture puts before each frame of a link type and that were never on the wire: ATM direction and
/// circuit, direction and channel of Bluetooth and so on. Wireshark does not count them in either length, nor do we.
/// <https://www.tcpdump.org/linktypes.html>
pub(super) fn pseudo_header_len(link_type: LinkType) -> u32 {
    match link_type.0 {
        // PPP with a direction byte.
        204 => 1,
        // NFC LLCP: adapter and flags.
        245 => 2,
        // SunATM, MTP2, Bluetooth HCI H4, Bluetooth Linux monitor.
        123 | 139 | 201 | 254 => 4,
        // SITA, I2C on Linux.
        196 | 209 => 5,
        // IrDA and LAPD behind a Linux cooked header.
        144 | 177 => 16,
        _ => 0,
    }
}
