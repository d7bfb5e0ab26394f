//! Segments of one stream in any order: every byte that comes out is one that was sent there, none comes twice, what is
//! held stays within its limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_core::stream::{Overlap, Piece, Place, Reassembler};

const LIMIT: usize = 4096;

/// The byte that stands at a stream offset, whichever segment brings it.
fn byte(offset: u32) -> u8 {
    (offset.wrapping_mul(0x9e37_79b1) >> 24) as u8
}

fuzz_target!(|input: &[u8]| {
    let [mode, a, b, c, d, rest @ ..] = input else { return };
    let isn = u32::from_be_bytes([*a, *b, *c, *d]);
    let overlap = if mode & 1 == 0 { Overlap::First } else { Overlap::Last };
    let mut stream = Reassembler::new(LIMIT, overlap);
    if mode & 2 == 0 {
        stream.start(isn);
    }
    let mut at = 0u64;
    let mut first = (mode & 2 == 0).then_some(isn);
    for (i, step) in rest.chunks_exact(4).enumerate() {
        let offset = u32::from(u16::from_be_bytes([step[0], step[1]]));
        let (len, kind) = (u32::from(step[2]), step[3]);
        let seq = isn.wrapping_add(offset);
        let payload: Vec<u8> = (0..len).map(|i| byte(offset + i)).collect();
        let cut = if kind & 1 == 0 { payload.len() } else { payload.len() / 2 };
        // The first segment or FIN says where a stream without a known start begins.
        let is_skip = kind >> 1 & 7 == 6;
        let is_fin = kind >> 1 & 7 == 7;
        if is_fin || len > 0 && !is_skip {
            first.get_or_insert(seq);
        }
        let start = first.unwrap_or(seq);
        let base = start.wrapping_sub(isn);
        let mut emit = |piece: Piece<'_>| match piece {
            Piece::Data(bytes, _) => {
                for found in bytes {
                    assert_eq!(*found, byte(base + at as u32));
                    at += 1;
                }
            }
            Piece::Gap(len, _) => at += len,
        };
        let place = Place { ts: i as i64, frame: i as u64 + 1, timed: true };
        match kind >> 1 & 7 {
            7 => stream.fin(seq),
            6 => stream.skip_hole(&mut emit),
            _ => stream.segment(seq, &payload[..cut], len, place, &mut emit),
        }
        assert!(stream.held() <= LIMIT + 512);
    }
    let start = first.unwrap_or(isn);
    let base = start.wrapping_sub(isn);
    stream.close(Place::default(), &mut |piece| match piece {
        Piece::Data(bytes, _) => {
            for found in bytes {
                assert_eq!(*found, byte(base + at as u32));
                at += 1;
            }
        }
        Piece::Gap(len, _) => at += len,
    });
    let counts = stream.counts();
    assert_eq!(counts.delivered + counts.missing, at);
    assert_eq!(counts.conflicting, 0);
    assert_eq!(stream.held(), 0);
});
