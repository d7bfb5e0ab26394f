//! Hellos and their fingerprints: any bytes are read or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_core::app::dns::Multicast;
use sniffkit_core::app::tls::{ClientHello, ServerHello, fingerprint};
use sniffkit_core::app::{After, Facts, Out, Wants, Who, tls};
use sniffkit_core::stream::{Piece, Place};

/// What a connection of these bytes shows, in pieces of `size`.
fn run(input: &[u8], size: usize) -> String {
    let (mut facts, mut rows) = (Facts::default(), Vec::new());
    let who = Who { family: 4, proto: 6, orig_p: 1, resp_p: 2, ..Who::default() };
    let wants = Wants { tls: true, facts: true, ..Wants::default() };
    let mut parser = tls::make(0);
    let (facts, rows, multicast) = (&mut facts, &mut rows, &mut Multicast::default());
    let mut out = Out { wants, who, facts, rows, multicast, files: None, tap: None };
    for piece in input.chunks(size) {
        if parser.piece(0, Piece::Data(piece, Place::default()), &mut out) != After::More {
            break;
        }
    }
    parser.finish(&mut out);
    format!("{facts:?} {rows:?}")
}

fuzz_target!(|input: &[u8]| {
    if let Some(hello) = ClientHello::parse(input) {
        assert_eq!(fingerprint::ja3(&hello).len(), 32);
        assert_eq!(fingerprint::ja4(&hello, false).chars().count(), 36);
    }
    let _ = ServerHello::parse(input);
    assert_eq!(run(input, 1), run(input, usize::MAX));
});
