//! HTTP/2 in clear: the same rows whether a connection comes whole, byte by byte or in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_core::app::content::Work;
use sniffkit_core::app::dns::Multicast;
use sniffkit_core::app::{Facts, Out, Wants, Who, http2};
use sniffkit_core::stream::{Piece, Place};

/// Each turn is a byte with the side in its lowest bit, a length of two bytes, and so many bytes.
fn turns(mut input: &[u8]) -> Vec<(usize, &[u8])> {
    let mut turns = Vec::new();
    while let [side, high, low, rest @ ..] = input {
        let (bytes, rest) = rest.split_at((usize::from(*high) << 8 | usize::from(*low)).min(rest.len()));
        turns.push((usize::from(side & 1), bytes));
        input = rest;
    }
    turns
}

fn run(input: &[u8], size: usize, hole: bool) -> String {
    let place = Place { ts: 1, frame: 1, timed: true };
    let (mut facts, mut rows) = (Facts::default(), Vec::new());
    let wants = Wants { http: true, files: true, bodies: Work::Hash, ..Wants::default() };
    let who = Who { family: 4, proto: 6, orig_p: 1, resp_p: 2, ..Who::default() };
    let (facts, rows, multicast) = (&mut facts, &mut rows, &mut Multicast::default());
    let mut out = Out { wants, who, facts, rows, multicast, files: None, tap: None };
    let mut parser = http2::make(0);
    'all: for (side, bytes) in turns(input) {
        for piece in bytes.chunks(size) {
            if parser.piece(side, Piece::Data(piece, place), &mut out) != sniffkit_core::app::After::More {
                break 'all;
            }
        }
        if hole {
            parser.piece(side, Piece::Gap(bytes.len() as u64, place), &mut out);
        }
    }
    parser.finish(&mut out);
    format!("{facts:?} {rows:?}")
}

fuzz_target!(|input: &[u8]| {
    let whole = run(input, usize::MAX, false);
    assert_eq!(run(input, 1, false), whole);
    assert_eq!(run(input, 7, false), whole);
    run(input, 50, true);
});
