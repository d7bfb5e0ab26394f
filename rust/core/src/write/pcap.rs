//! Encoding of pcap files (draft-ietf-opsawg-pcap), in little-endian order.

use super::SNAP_LEN;
use crate::frame::{FrameMeta, LinkType};

/// Length of the file header, bytes.
pub(super) const FILE_HEADER: usize = 24;
/// Length of a record header, bytes.
pub(super) const RECORD_HEADER: usize = 16;

/// Resolution of the timestamps, by the magic number that announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// What tcpdump writes.
    Micros,
    /// Read by everything since libpcap 1.5 and Wireshark 1.12.
    Nanos,
}

/// Appends the file header.
pub(super) fn file_header(out: &mut Vec<u8>, resolution: Resolution, link_type: LinkType) {
    let magic: u32 = match resolution {
        Resolution::Micros => 0xa1b2_c3d4,
        Resolution::Nanos => 0xa1b2_3c4d,
    };
    out.extend_from_slice(&magic.to_le_bytes());
    out.extend_from_slice(&2_u16.to_le_bytes());
    out.extend_from_slice(&4_u16.to_le_bytes());
    // Time zone and accuracy, always 0.
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&SNAP_LEN.to_le_bytes());
    out.extend_from_slice(&link_type.0.to_le_bytes());
}

/// Appends one record; `None` when 32 bits of seconds cannot hold its time.
pub(super) fn record(out: &mut Vec<u8>, resolution: Resolution, frame: &FrameMeta, bytes: &[u8]) -> Option<()> {
    let seconds = u32::try_from(frame.ts.div_euclid(1_000_000_000)).ok()?;
    let nanos = frame.ts.rem_euclid(1_000_000_000) as u32;
    let fraction = match resolution {
        Resolution::Micros => nanos / 1_000,
        Resolution::Nanos => nanos,
    };
    let mut header = [0; RECORD_HEADER];
    for (at, value) in [seconds, fraction, bytes.len() as u32, frame.frame_len].into_iter().enumerate() {
        header[at * 4..at * 4 + 4].copy_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&header);
    out.extend_from_slice(bytes);
    Some(())
}
