//! Reassembly against its specification: whatever the order, the same bytes or a declared gap.

use super::{Overlap, Piece, Place, Reassembler};
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// What came out: bytes by stream offset (`None` missing), as one vector.
#[derive(Default)]
struct Out(Vec<Option<u8>>);

impl Out {
    fn take(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Data(bytes, _) => self.0.extend(bytes.iter().map(|byte| Some(*byte))),
            Piece::Gap(len, _) => self.0.extend(std::iter::repeat_n(None, len as usize)),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().map(|byte| byte.unwrap_or(b'?')).collect()
    }
}

fn place(frame: usize) -> Place {
    Place { ts: frame as i64, frame: frame as u64, timed: true }
}

/// Feeds (offset, bytes) segments of a stream that starts at `isn + 1`, then closes it.
fn run(isn: u32, segments: &[(usize, &[u8])], overlap: Overlap, limit: usize) -> (Out, Reassembler) {
    let mut stream = Reassembler::new(limit, overlap);
    stream.start(isn.wrapping_add(1));
    let mut out = Out::default();
    for (i, (at, bytes)) in segments.iter().enumerate() {
        let seq = isn.wrapping_add(1).wrapping_add(*at as u32);
        stream.segment(seq, bytes, bytes.len() as u32, place(i + 1), &mut |piece| out.take(piece));
    }
    stream.close(place(segments.len() + 1), &mut |piece| out.take(piece));
    (out, stream)
}

fn text(segments: &[(usize, &[u8])]) -> String {
    String::from_utf8_lossy(&run(7, segments, Overlap::First, LIMIT).0.bytes()).into_owned()
}

#[test]
fn in_order_out_of_order_and_twice() {
    assert_eq!(text(&[(0, b"abc"), (3, b"def")]), "abcdef");
    assert_eq!(text(&[(3, b"def"), (0, b"abc")]), "abcdef");
    assert_eq!(text(&[(0, b"abc"), (0, b"abc"), (3, b"def"), (1, b"bcde")]), "abcdef");
    assert_eq!(text(&[(6, b"g"), (3, b"def"), (3, b"def"), (0, b"abc")]), "abcdefg");
}

#[test]
fn a_hole_is_a_gap_of_its_length() {
    let (out, stream) = run(0, &[(0, b"ab"), (5, b"fg")], Overlap::First, LIMIT);
    assert_eq!(out.bytes(), b"ab???fg");
    assert_eq!((stream.counts().missing, stream.counts().delivered), (3, 4));
}

#[test]
fn the_first_bytes_win_unless_told_otherwise() {
    let segments: [(usize, &[u8]); 3] = [(2, b"XX"), (1, b"bbbb"), (0, b"a")];
    let (first, stream) = run(0, &segments, Overlap::First, LIMIT);
    assert_eq!(first.bytes(), b"abXXb");
    assert_eq!(stream.counts().conflicting, 2);
    assert_eq!(run(0, &segments, Overlap::Last, LIMIT).0.bytes(), b"abbbb");
}

#[test]
fn sequence_numbers_wrap() {
    for isn in [u32::MAX - 3, u32::MAX, 0x7fff_fffe, 0x8000_0000] {
        let (out, _) = run(isn, &[(0, b"abc"), (6, b"ghi"), (3, b"def")], Overlap::First, LIMIT);
        assert_eq!(out.bytes(), b"abcdefghi");
    }
}

#[test]
fn a_keep_alive_probe_adds_nothing() {
    assert_eq!(text(&[(0, b"abc"), (2, b"\0"), (3, b"def"), (5, b"f")]), "abcdef");
}

#[test]
fn bytes_that_the_snap_length_cut_are_a_gap_unless_they_come_again() {
    let cut = |again: bool| {
        let mut stream = Reassembler::new(LIMIT, Overlap::First);
        let mut out = Out::default();
        stream.start(0);
        stream.segment(3, b"de", 4, place(1), &mut |piece| out.take(piece));
        if again {
            stream.segment(5, b"fg", 2, place(2), &mut |piece| out.take(piece));
        }
        stream.segment(0, b"abc", 3, place(3), &mut |piece| out.take(piece));
        stream.segment(7, b"h", 1, place(4), &mut |piece| out.take(piece));
        out.bytes()
    };
    assert_eq!(cut(false), b"abcde??h");
    assert_eq!(cut(true), b"abcdefgh");
}

#[test]
fn a_fin_ends_the_stream_and_shows_what_is_missing() {
    let mut stream = Reassembler::new(LIMIT, Overlap::First);
    let mut out = Out::default();
    stream.start(10);
    stream.segment(10, b"abc", 3, place(1), &mut |piece| out.take(piece));
    stream.fin(15);
    stream.segment(15, b"never", 5, place(2), &mut |piece| out.take(piece));
    stream.segment(40, b"farther", 7, place(2), &mut |piece| out.take(piece));
    assert!(!stream.is_done());
    stream.close(place(3), &mut |piece| out.take(piece));
    assert_eq!(out.bytes(), b"abc??");
    assert_eq!(stream.counts().outside, 12);
}

#[test]
fn a_stream_without_syn_begins_at_its_first_segment() {
    let mut stream = Reassembler::new(LIMIT, Overlap::First);
    let mut out = Out::default();
    stream.segment(1000, b"abc", 3, place(1), &mut |piece| out.take(piece));
    stream.segment(990, b"0123456789", 10, place(2), &mut |piece| out.take(piece));
    stream.segment(998, b"89abcd", 6, place(2), &mut |piece| out.take(piece));
    assert_eq!(out.bytes(), b"abcd");
}

#[test]
fn what_is_held_stays_within_its_limit() {
    let mut stream = Reassembler::new(10_000, Overlap::First);
    stream.start(0);
    let mut out = Out::default();
    for i in 1..5000u32 {
        stream.segment(i * 3, b"x", 1, place(1), &mut |piece| out.take(piece));
        assert!(stream.held() <= 10_000);
    }
    stream.close(place(2), &mut |piece| out.take(piece));
    assert_eq!(out.0.len(), 4999 * 3 + 1);
    assert_eq!(stream.counts().delivered, 4999);
}

fn cuts(len: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..len, 1..40usize), 0..40)
        .prop_map(move |parts| parts.into_iter().map(|(at, n)| (at, n.min(len - at))).collect())
}

proptest! {
    /// Any permutation, duplication and overlap of the segments gives the same bytes.
    #[test]
    fn any_order_gives_the_same_bytes(
        isn: u32,
        bytes in prop::collection::vec(any::<u8>(), 1..400),
        extra in cuts(400),
        size in 1..50usize,
        seed in prop::collection::vec(any::<u32>(), 100),
    ) {
        let mut parts: Vec<(usize, &[u8])> =
            bytes.chunks(size).enumerate().map(|(i, chunk)| (i * size, chunk)).collect();
        for (at, n) in extra {
            if at < bytes.len() {
                parts.push((at, &bytes[at..(at + n).min(bytes.len())]));
            }
        }
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|i| seed[i % seed.len()].wrapping_mul(*i as u32 * 2 + 1));
        let shuffled: Vec<(usize, &[u8])> = order.iter().map(|i| parts[*i]).collect();
        let (out, stream) = run(isn, &shuffled, Overlap::First, LIMIT);
        prop_assert_eq!(out.bytes(), &bytes[..]);
        prop_assert_eq!(stream.counts().conflicting, 0);
        prop_assert_eq!(stream.counts().missing, 0);
        prop_assert_eq!(stream.held(), 0);
    }

    /// With segments left out, every byte that comes out is right and everything else is declared missing; a small
    /// limit only declares more.
    #[test]
    fn what_does_not_come_is_declared(
        bytes in prop::collection::vec(any::<u8>(), 1..400),
        parts in cuts(400),
        limit in prop::sample::select(vec![200usize, 1000, LIMIT]),
    ) {
        let segments: Vec<(usize, &[u8])> = parts
            .iter()
            .filter(|(at, _)| *at < bytes.len())
            .map(|(at, n)| (*at, &bytes[*at..(at + n).min(bytes.len())]))
            .collect();
        let (out, stream) = run(3, &segments, Overlap::First, limit);
        let end = segments.iter().map(|(at, part)| at + part.len()).max().unwrap_or(0);
        prop_assert_eq!(out.0.len(), end);
        for (i, byte) in out.0.iter().enumerate() {
            let sent = segments.iter().any(|(at, part)| (*at..at + part.len()).contains(&i));
            match byte {
                Some(byte) => prop_assert_eq!(*byte, bytes[i]),
                None => prop_assert!(!sent || limit < LIMIT),
            }
        }
        prop_assert_eq!(stream.counts().missing, out.0.iter().filter(|b| b.is_none()).count() as u64);
    }
}
