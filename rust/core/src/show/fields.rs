//! `read -T fields -e NAME`: chosen fields, tab-separated, as tshark prints them.

use super::view::layers;
use crate::decode::Proto;
use crate::decode::layout::FieldValue;
use crate::frame::FrameMeta;
use crate::packet::Packet;
use std::fmt::Write;

/// Fields of the frame rather than of a layer.
const FRAME: [&str; 6] =
    ["frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.protocols", "_ws.malformed"];

/// Names that stand for several fields, as in display filters.
const EITHER: [(&str, [&str; 2]); 7] = [
    ("ip.version", ["ip.version", "ipv6.version"]),
    ("eth.addr", ["eth.dst", "eth.src"]),
    ("ip.addr", ["ip.src", "ip.dst"]),
    ("ipv6.addr", ["ipv6.src", "ipv6.dst"]),
    ("tcp.port", ["tcp.srcport", "tcp.dstport"]),
    ("udp.port", ["udp.srcport", "udp.dstport"]),
    ("sctp.port", ["sctp.srcport", "sctp.dstport"]),
];

/// Every name that [`FieldPrinter`] takes, in no particular order.
pub fn known_fields() -> impl Iterator<Item = &'static str> {
    let of_layers = Proto::all().iter().flat_map(|proto| {
        let layout = proto.layout();
        layout.fields.iter().chain(layout.extra).map(|field| field.name)
    });
    FRAME.into_iter().chain(EITHER.into_iter().map(|(name, _)| name)).chain(of_layers)
}

/// Which of several values of one field are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occurrence {
    /// All of them.
    #[default]
    All,
    /// The first.
    First,
    /// The last.
    Last,
}

/// How fields are printed: what tshark's `-E` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldFormat {
    /// Between fields.
    pub separator: char,
    /// Between the values of one field.
    pub aggregator: char,
    /// Which values.
    pub occurrence: Occurrence,
    /// Around a field that has a value.
    pub quote: Option<char>,
}

impl Default for FieldFormat {
    fn default() -> Self {
        Self { separator: '\t', aggregator: ',', occurrence: Occurrence::All, quote: None }
    }
}

/// Prints chosen fields of frames.
#[derive(Clone, Debug)]
pub struct FieldPrinter {
    names: Vec<String>,
    format: FieldFormat,
}

impl FieldPrinter {
    /// A printer of these fields.
    ///
    /// # Errors
    /// The first name that is not known.
    pub fn new(names: Vec<String>, format: FieldFormat) -> Result<Self, String> {
        match names.iter().find(|name| !known_fields().any(|known| known == name.as_str())) {
            Some(unknown) => Err(unknown.clone()),
            None => Ok(Self { names, format }),
        }
    }

    /// Appends the fields of one frame; no newline.
    pub fn print(&self, meta: &FrameMeta, frame: &[u8], packet: &Packet, out: &mut String) {
        let views = layers(frame, packet);
        for (index, name) in self.names.iter().enumerate() {
            out.extend((index > 0).then_some(self.format.separator));
            let before = out.len();
            out.extend(self.format.quote);
            let begin = out.len();
            let _ = match name.as_str() {
                "frame.number" => write!(out, "{}", meta.number),
                "frame.time_epoch" if meta.ts_missing => Ok(()),
                "frame.time_epoch" => write!(out, "{}", super::epoch(meta.ts)),
                "frame.len" => write!(out, "{}", meta.frame_len),
                "frame.cap_len" => write!(out, "{}", meta.cap_len),
                "frame.protocols" => write!(out, "{}", super::protocols(packet)),
                "_ws.malformed" => packet.malformed.as_ref().map_or(Ok(()), |fault| write!(out, "{fault}")),
                name => {
                    let alias = EITHER.iter().find(|(either, _)| *either == name).map(|(_, both)| both);
                    let wanted = |field: &str| field == name || alias.is_some_and(|both| both.contains(&field));
                    let values = views.iter().flat_map(|view| &view.fields).filter(|field| wanted(field.name));
                    self.values(values, out)
                }
            };
            if out.len() == begin {
                out.truncate(before);
            } else {
                out.extend(self.format.quote);
            }
        }
    }

    fn values<'a>(&self, mut values: impl Iterator<Item = &'a FieldValue>, out: &mut String) -> std::fmt::Result {
        match self.format.occurrence {
            Occurrence::First => values.next().map_or(Ok(()), |field| write!(out, "{field}")),
            Occurrence::Last => values.last().map_or(Ok(()), |field| write!(out, "{field}")),
            Occurrence::All => values.enumerate().try_for_each(|(index, field)| {
                out.extend((index > 0).then_some(self.format.aggregator));
                write!(out, "{field}")
            }),
        }
    }
}
