//! `read --json`: a frame as one JSON object on one line.

use super::view::layers;
use crate::decode::layout::{Kind, Value};
use crate::frame::{FrameMeta, InterfaceInfo};
use crate::packet::Packet;
use std::fmt::Write;

/// Appends one frame as an object, without a newline: `frame.*` members, and `layers` in wire order, each with
/// `name`, `offset`, `length` and `fields`. Numbers are numbers, flags booleans, everything else text. A field that a
/// layer has more than once is an array.
pub fn json(meta: &FrameMeta, info: Option<&InterfaceInfo>, frame: &[u8], packet: &Packet, out: &mut String) {
    let _ = write!(out, "{{\"frame.number\":{}", meta.number);
    if !meta.ts_missing {
        let _ = write!(out, ",\"frame.time_epoch\":\"{}\"", super::epoch(meta.ts));
    }
    if let Some(point) = info.and_then(InterfaceInfo::point) {
        out.push_str(",\"frame.interface_name\":");
        crate::json::string(&point, out);
    }
    let (wire, captured, protocols) = (meta.frame_len, meta.cap_len, super::protocols(packet));
    let _ = write!(out, ",\"frame.len\":{wire},\"frame.cap_len\":{captured},\"frame.protocols\":\"{protocols}\"");
    if let Some(fault) = &packet.malformed {
        // Made of our own words and numbers: nothing to escape.
        let _ = write!(out, ",\"malformed\":\"{fault}\"");
    }
    out.push_str(",\"layers\":[");
    for (index, layer) in layers(frame, packet).iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let (name, offset, len) = (layer.proto.name(), layer.offset, layer.len);
        let _ = write!(out, "{comma}{{\"name\":\"{name}\",\"offset\":{offset},\"length\":{len},\"fields\":{{");
        let mut names: Vec<&str> = Vec::with_capacity(layer.fields.len());
        for field in &layer.fields {
            if !names.contains(&field.name) {
                names.push(field.name);
            }
        }
        for (index, name) in names.iter().enumerate() {
            let _ = write!(out, "{}\"{name}\":", if index == 0 { "" } else { "," });
            let mut values = layer.fields.iter().filter(|field| field.name == *name).peekable();
            let several = layer.fields.iter().filter(|field| field.name == *name).count() > 1;
            out.push_str(if several { "[" } else { "" });
            while let Some(field) = values.next() {
                let _ = match (&field.value, field.kind) {
                    (Value::Uint(bit), Kind::Flag) => write!(out, "{}", *bit != 0),
                    (Value::Uint(number), Kind::Uint) => write!(out, "{number}"),
                    _ => write!(out, "\"{field}\""),
                };
                out.push_str(if values.peek().is_some() { "," } else { "" });
            }
            out.push_str(if several { "]" } else { "" });
        }
        out.push_str("}}");
    }
    out.push_str("]}");
}
