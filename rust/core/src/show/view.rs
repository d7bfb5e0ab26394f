//! A frame as layers with their fields: what the tree, JSON and `-T fields` print.

use crate::decode::Proto;
use crate::decode::layout::{FieldValue, Header, Kind, Value};
use crate::packet::Packet;
use std::fmt;

/// One layer with its fields.
#[derive(Clone, Debug)]
pub struct LayerView {
    /// The protocol.
    pub proto: Proto,
    /// Byte offset in the frame.
    pub offset: usize,
    /// Length of the header, bytes; of all that is left, where nothing follows.
    pub len: usize,
    /// The fields that are there.
    pub fields: Vec<FieldValue>,
}

impl LayerView {
    /// The protocol's full name, or its short one.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self.proto.layout().title {
            "" => self.proto.name(),
            title => title,
        }
    }
}

/// The layers of a decoded frame.
#[must_use]
pub fn layers(frame: &[u8], packet: &Packet) -> Vec<LayerView> {
    let mut end = (packet.frame_len as usize).max(frame.len());
    let stack = packet.layers();
    let mut views = Vec::with_capacity(stack.len());
    for (index, layer) in stack.iter().enumerate() {
        let (proto, offset) = (layer.proto(), layer.offset());
        let bytes = frame.get(offset..).unwrap_or(&[]);
        let content = match (proto, bytes) {
            (Proto::Ip, [_, _, high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
            (Proto::Ipv6, [_, _, _, _, high, low, ..]) => match u16::from_be_bytes([*high, *low]) {
                0 => 0,
                length => 40 + usize::from(length),
            },
            _ => 0,
        };
        if content != 0 {
            end = end.min(offset + content);
        }
        let wire = end.saturating_sub(offset);
        let bytes = &bytes[..bytes.len().min(wire)];
        let len = stack.get(index + 1).map_or(bytes.len(), |next| next.offset().saturating_sub(offset));
        let fields = proto.layout().values(&Header { bytes, len, wire, offset });
        views.push(LayerView { proto, offset, len, fields });
    }
    views
}

impl fmt::Display for FieldValue {
    /// The value as tshark writes it with `-T fields`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, self.kind) {
            (Value::Uint(number), Kind::Hex) => {
                write!(f, "0x{number:0width$x}", width = self.bits.div_ceil(4) as usize)
            }
            (Value::Uint(number), _) => number.fmt(f),
            (Value::Mac(mac), _) => f.write_str(&super::bytes::mac(*mac)),
            (Value::Ipv4(ip), _) => ip.fmt(f),
            (Value::Ipv6(ip), _) => ip.fmt(f),
            (Value::Bytes(bytes), _) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}
