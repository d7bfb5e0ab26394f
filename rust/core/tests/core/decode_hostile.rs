//! Nothing that arrives makes a decoder panic, whatever the link type, and what it says stays inside the frame.

use proptest::prelude::*;
use sniffkit_core::decode::{Proto, decode};
use sniffkit_core::frame::{FrameBatch, LinkType};
use sniffkit_core::packet::{Layer, MAX_LAYERS, NONE, Packet};
use sniffkit_core::show::canonical_line;
use sniffkit_core::source::{CaptureFiles, Input, Source};
use std::path::PathBuf;

const LINK_TYPES: [u32; 17] = [0, 1, 9, 12, 14, 50, 51, 100, 101, 104, 105, 108, 113, 228, 229, 253, 276];

/// Decodes, and checks what every reader of a [`Packet`] relies on.
fn check(frame: &[u8], frame_len: u32, link_type: LinkType, packet: &mut Packet) {
    decode(frame, frame_len, link_type, packet);
    for layer in packet.layers() {
        assert!(layer.offset() <= frame.len(), "{} starts behind the frame", layer.proto().name());
    }
    for header in [packet.eth, packet.arp, packet.ip, packet.outer_ip, packet.quoted_ip, packet.transport] {
        assert!(header == NONE || (header as usize) < frame.len(), "a header behind the frame");
    }
    assert!(packet.payload_of(frame).len() <= frame.len());
    assert!(packet.vlans().len() >= usize::from(packet.outer_vlans));
    let _ = packet.inner_vlans();
    let _ = packet.malformed.as_ref().map(ToString::to_string);
    let _ = canonical_line(frame, packet);
}

/// Every frame of every capture in a folder, with every prefix of it as a frame that the snap length cut.
fn every_prefix_of(folder: PathBuf, longest: usize) -> usize {
    let (mut batch, mut packet, mut frames) = (FrameBatch::default(), Packet::default(), 0);
    for entry in std::fs::read_dir(folder).expect("the folder was there a moment ago") {
        let name = entry.expect("readable").path();
        let Ok(mut files) = CaptureFiles::open([Input::from(name.to_str().expect("names are UTF-8"))]) else {
            continue;
        };
        while files.next_batch(&mut batch).is_ok_and(|more| more) {
            for meta in &batch.frames {
                let frame = batch.bytes(meta);
                let link_type = batch.interfaces[meta.interface as usize].link_type;
                check(frame, meta.frame_len, link_type, &mut packet);
                for len in 0..frame.len().min(longest) {
                    check(&frame[..len], meta.frame_len, link_type, &mut packet);
                }
                frames += 1;
            }
        }
    }
    frames
}

#[test]
fn every_prefix_of_every_corpus_frame() {
    let shared = std::env::var_os("SNIFFKIT_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    let captures = shared.join("corpus/captures");
    if !captures.is_dir() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "needs the captures of ../shared/corpus");
        eprintln!("skipped: needs the captures of ../shared/corpus");
        return;
    }
    assert!(every_prefix_of(captures, 256) > 19_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(frame in prop::collection::vec(any::<u8>(), 0..200), longer in 0_u32..100, cut in any::<bool>()) {
        let mut packet = Packet::default();
        for link_type in LINK_TYPES {
            let len = frame.len() as u32;
            let wire = if cut { len + longer } else { len.saturating_sub(longer) };
            check(&frame, wire, LinkType(link_type), &mut packet);
        }
    }

    /// Random bytes behind headers that lead into the depths.
    #[test]
    fn random_bytes_behind_headers(start in 0..7_usize, frame in prop::collection::vec(any::<u8>(), 0..120)) {
        let starts: [&[u8]; 7] = [
            &[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 47, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 0, 0, 0, 0, 0, 0],
            &[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 17, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 0x17, 0xc1, 0, 180, 0, 0],
            &[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 17, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 0x08, 0x68, 0, 180, 0, 0],
            &[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 41, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x60, 0, 0, 0, 0, 99, 43],
            &[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 6, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 17, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 0xa5, 6, 0xa5, 0, 180, 0, 0],
        ];
        let bytes = [starts[start], &frame].concat();
        check(&bytes, bytes.len() as u32, LinkType::RAW, &mut Packet::default());
    }
}

/// Headers that contain themselves: the depth of tunnels and the number of layers are bounded.
#[test]
fn endless_nesting_ends() {
    let mut packet = Packet::default();
    // IP-in-IP: each header says that another follows.
    let header = [0x45, 0, 0xff, 0xff, 0, 0, 0, 0, 64, 4, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let frame = header.repeat(1000);
    check(&frame, frame.len() as u32, LinkType::RAW, &mut packet);
    assert_eq!(packet.depth, 8);
    assert_eq!(packet.layers().iter().filter(|layer| layer.proto().name() == "ip").count(), 9);
    assert_eq!(packet.malformed.as_ref().map(ToString::to_string).as_deref(), Some("data@180: too many tunnels"));
    check(&frame[..180], 180, LinkType::RAW, &mut packet);
    // Tags in tags.
    let frame = [[2; 12].as_slice(), &[0x81, 0, 0, 1].repeat(16_000)].concat();
    check(&frame, frame.len() as u32, LinkType::ETHERNET, &mut packet);
    assert_eq!(packet.malformed.as_ref().map(ToString::to_string).as_deref(), Some("vlan@522: too many layers"));
    assert_eq!(packet.vlans(), [1; MAX_LAYERS - 1]);
}

#[test]
fn layers_and_tags_go_to_the_heap_and_end_at_the_limit() {
    let mut packet = Packet::default();
    for round in 0..2 {
        packet.reset(0, 0);
        let all: Vec<Layer> = (0..MAX_LAYERS).map(|at| Layer::new(Proto::Vlan, at + round)).collect();
        let ids: Vec<u16> = (0..MAX_LAYERS).map(|at| (at + round) as u16).collect();
        for (at, layer) in all.iter().enumerate() {
            assert!(packet.put_layer(at, *layer));
            packet.end_layers(at + 1, Proto::Vlan);
            packet.push_vlan(ids[at]);
            assert_eq!((packet.layers(), packet.vlans()), (&all[..=at], &ids[..=at]));
            assert_eq!(packet.last_proto(), Some(Proto::Vlan));
        }
        assert!(!packet.put_layer(MAX_LAYERS, all[0]));
        assert_eq!(packet.layers(), all);
    }
}

/// The link types of the fuzz target's first byte, as in `fuzz/fuzz_targets/decode.rs`.
const FUZZ_LINK_TYPES: [u32; 16] = [1, 0, 9, 12, 14, 50, 51, 100, 101, 104, 108, 113, 228, 229, 253, 276];

/// Every seed of the fuzz target is a whole frame, and each of its prefixes is survived.
#[test]
fn every_prefix_of_every_seed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/decode");
    let (mut packet, mut seeds) = (Packet::default(), 0);
    for entry in std::fs::read_dir(folder).expect("the kept corpus is there") {
        let seed = std::fs::read(entry.expect("readable").path()).expect("readable");
        let [which, _, frame @ ..] = seed.as_slice() else { continue };
        let link_type = LinkType(FUZZ_LINK_TYPES[usize::from(which % 16)]);
        for len in 0..=frame.len() {
            check(&frame[..len], frame.len() as u32, link_type, &mut packet);
        }
        seeds += 1;
    }
    assert!(seeds >= 30, "scripts/decode_seeds.py makes them");
}
