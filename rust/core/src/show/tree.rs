//! `read -V`: a frame as an indented tree.

use super::view::layers;
use crate::decode::layout::Kind;
use crate::frame::FrameMeta;
use crate::packet::Packet;
use std::fmt::Write;

/// Appends the tree of one frame, ending with a newline.
pub fn tree(meta: &FrameMeta, frame: &[u8], packet: &Packet, out: &mut String) {
    let (number, wire, captured) = (meta.number, meta.frame_len, meta.cap_len);
    let _ = writeln!(out, "Frame {number}: {wire} bytes on wire, {captured} bytes captured");
    if !meta.ts_missing {
        let _ = writeln!(out, "    Epoch Time: {} seconds", super::epoch(meta.ts));
    }
    let _ = writeln!(out, "    Protocols in frame: {}", super::protocols(packet));
    for layer in layers(frame, packet) {
        let _ = writeln!(out, "{} ({}), {} bytes at {}", layer.title(), layer.proto.name(), layer.len, layer.offset);
        for field in &layer.fields {
            let _ = match field.kind {
                Kind::Flag => {
                    writeln!(out, "    {}: {}", field.title, if field.to_string() == "0" { "Not set" } else { "Set" })
                }
                _ if field.unit.is_empty() => writeln!(out, "    {}: {field}", field.title),
                _ => writeln!(out, "    {}: {field} {}", field.title, field.unit),
            };
        }
    }
    if let Some(fault) = &packet.malformed {
        let _ = writeln!(out, "[Malformed: {fault}]");
    }
}
