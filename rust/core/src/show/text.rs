//! A frame as tcpdump prints it: its line, and the dump that was asked for.

use super::{LineOptions, LinePrinter, ascii, hex, hex_and_ascii, network_offset};
use crate::frame::{FrameBatch, FrameMeta};
use crate::packet::Packet;

/// Which bytes follow the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dump {
    /// None.
    #[default]
    None,
    /// `-x`, or `-xx` with the link header.
    Hex {
        /// From the link header on.
        link: bool,
    },
    /// `-X`, or `-XX`.
    HexAscii {
        /// From the link header on.
        link: bool,
    },
    /// `-A`.
    Ascii,
}

/// Prints frames: one line each, then the dump. With more than one capture point the point comes first.
#[derive(Debug, Default)]
pub struct TextPrinter {
    line: LinePrinter,
    dump: Dump,
}

impl TextPrinter {
    /// A printer with tcpdump's flags.
    #[must_use]
    pub fn new(line: LineOptions, dump: Dump) -> Self {
        Self { line: LinePrinter::new(line), dump }
    }

    /// Appends the text of one frame, newline included.
    pub fn print(&mut self, batch: &FrameBatch, meta: &FrameMeta, packet: &Packet, out: &mut String) {
        let frame = batch.bytes(meta);
        if batch.interfaces.len() > 1
            && let Some(info) = batch.interfaces.get(meta.interface as usize)
            && let Some(name) = &info.name
        {
            if let Some(netns) = &info.netns {
                out.push_str(netns);
                out.push('/');
            }
            out.push_str(name);
            out.push(' ');
        }
        self.line.print(meta, frame, packet, out);
        let network = network_offset(packet);
        let from = |link: bool| frame.get(if link { 0 } else { network }..).unwrap_or(&[]);
        match self.dump {
            Dump::None => {}
            Dump::Hex { link } => hex(from(link), out),
            Dump::HexAscii { link } => hex_and_ascii(from(link), out),
            Dump::Ascii => ascii(from(false), out),
        }
        out.push('\n');
    }
}
