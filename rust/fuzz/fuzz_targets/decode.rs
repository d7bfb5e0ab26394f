//! One frame of any link type: no panic, and every offset stays inside the frame.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_core::decode::decode;
use sniffkit_core::frame::LinkType;
use sniffkit_core::packet::{NONE, Packet};
use sniffkit_core::show::canonical_line;

/// The first byte chooses one of these, the second how much longer the frame was on the wire.
const LINK_TYPES: [u32; 16] = [1, 0, 9, 12, 14, 50, 51, 100, 101, 104, 108, 113, 228, 229, 253, 276];

fuzz_target!(|input: &[u8]| {
    let [which, longer, frame @ ..] = input else { return };
    let link_type = LinkType(LINK_TYPES[usize::from(which % 16)]);
    let mut packet = Packet::default();
    decode(frame, frame.len() as u32 + u32::from(*longer), link_type, &mut packet);
    assert!(packet.layers().iter().all(|layer| layer.offset() <= frame.len()));
    assert!(
        [packet.eth, packet.arp, packet.ip, packet.transport]
            .iter()
            .all(|&at| at == NONE || (at as usize) < frame.len())
    );
    assert!(packet.payload_of(frame).len() <= frame.len());
    let _ = canonical_line(frame, &packet);
});
