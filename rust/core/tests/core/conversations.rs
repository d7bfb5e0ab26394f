//! What `follow` shows: offsets by flow and side, characters that segments cut, headings on lines of their own.

use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::show::Zone;
use sniffkit_core::show::conversation::{Conversations, Select, Style};
use std::sync::Arc;

use crate::segments::tcp;

/// The lines of what is said, each part in a batch of its own: port of the client, whether it speaks, offset, text.
fn lines(style: Style, said: &[(u16, bool, u32, &[u8])]) -> Vec<String> {
    let mut decoded = Decoded::default();
    decoded.batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::RAW, 0))]);
    let mut conversations = Conversations::follow(Select::All, style, false, Zone::new(Vec::new()));
    let mut text = Vec::new();
    let handshake = |port| [tcp(port, true, 2, 999, 0, b""), tcp(port, false, 0x12, 999, 1000, b"")];
    let data = said.iter().map(|(port, from_client, at, bytes)| tcp(*port, *from_client, 0x18, 1000 + at, 1000, bytes));
    for (i, frame) in [1, 2].into_iter().flat_map(handshake).chain(data).enumerate() {
        decoded.batch.clear();
        let number = i as u64 + 1;
        let meta = FrameMeta { ts: i as i64, number, frame_len: frame.len() as u32, ..FrameMeta::default() };
        decoded.batch.push(meta, &frame);
        decoded.decode();
        let mut out = Vec::new(); // as for each batch
        conversations.batch(&decoded.batch, decoded.packets(), &mut out);
        text.append(&mut out);
    }
    let mut out = Vec::new();
    conversations.finish(&mut out);
    text.append(&mut out);
    let line = |line: &str| if line.starts_with("-- ") { "--".to_owned() } else { line.to_owned() };
    String::from_utf8(text).unwrap().lines().map(line).collect()
}

#[test]
fn offsets_are_those_of_the_flow() {
    let bytes = &[b'A'; 20][..];
    let said = [(1, true, 0, bytes), (2, true, 0, bytes), (1, true, 20, bytes), (2, true, 20, bytes)];
    let offsets: Vec<String> =
        lines(Style::Hex, &said).iter().map(|line| line.split(' ').next().unwrap().into()).collect();
    let (first, second) = (["--", "00000000", "00000010"], ["--", "00000014", "00000024"]);
    assert_eq!(offsets, [first, first, second, second].concat());
}

#[test]
fn characters_that_segments_cut_are_whole() {
    let text = "grüße €".as_bytes();
    let said = [(1, true, 0, &text[..3]), (1, true, 3, &text[3..9]), (1, false, 0, b"ok"), (1, true, 9, &text[9..])];
    assert_eq!(lines(Style::Text, &said[..2]), ["--", "grüße ."]);
    assert_eq!(lines(Style::Text, &said), ["--", "grüße ", "--", "ok", "--", "€"]);
    let gap = [said[0], (1, true, 13, &b"x"[..])];
    assert_eq!(lines(Style::Text, &gap), ["--", "gr.[10 bytes are missing]", "x"]);
}

#[test]
fn headings_stand_on_lines_of_their_own() {
    let said = [(1, true, 0, &b"no end"[..]), (1, false, 0, b"answer")];
    assert_eq!(lines(Style::Text, &said), ["--", "no end", "--", "answer"]);
}
