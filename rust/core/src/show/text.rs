//! A frame as tcpdump prints it: its line, and the dump that was asked for; or as JSON.

use super::names::Names;
use super::{LineOptions, LinePrinter, ascii, hex, hex_and_ascii, json, network_offset};
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
    json: bool,
}

impl TextPrinter {
    /// A printer with tcpdump's flags.
    #[must_use]
    pub fn new(line: LineOptions, dump: Dump) -> Self {
        Self { line: LinePrinter::new(line), dump, json: false }
    }

    /// A printer of a JSON object a frame, on a line.
    #[must_use]
    pub fn json() -> Self {
        Self { json: true, ..Self::default() }
    }

    /// Prints what interfaces are called where frames tell their index alone.
    #[must_use]
    pub fn with_names(self, names: Names) -> Self {
        Self { line: self.line.with_names(names), ..self }
    }

    /// Appends the text of one frame, newline included.
    pub fn print(&mut self, batch: &FrameBatch, meta: &FrameMeta, packet: &Packet, out: &mut String) {
        let frame = batch.bytes(meta);
        let info = batch.interfaces.get(meta.interface as usize);
        if self.json {
            json(meta, info.map(|info| &**info), frame, packet, out);
            out.push('\n');
            return;
        }
        if batch.interfaces.len() > 1
            && let Some(point) = info.and_then(|info| info.point())
        {
            out.push_str(&point);
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
