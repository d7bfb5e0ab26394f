//! An HTTP/1 conversation: the same exchanges whether it comes whole, byte by byte or in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_core::app::http1::{Conversation, Hashed, Side};
use sniffkit_core::stream::{Piece, Place};

/// Which side says what: the bytes 0x00 and 0x01 in the input change the speaker.
fn run(input: &[u8], size: usize) -> String {
    let mut conversation = Conversation::default();
    let mut bodies = Hashed(true);
    let place = Place { ts: 1, frame: 1, timed: true };
    let mut side = Side::Request;
    for turn in input.split_inclusive(|byte| *byte < 2) {
        let (bytes, change) = match turn {
            [bytes @ .., 0 | 1] => (bytes, turn.last()),
            all => (all, None),
        };
        for piece in bytes.chunks(size) {
            conversation.piece(side, Piece::Data(piece, place), &mut bodies);
            assert!(conversation.sides_held() < 1 << 21);
        }
        match change {
            Some(0) => side = Side::Request,
            Some(_) => side = Side::Response,
            None => {}
        }
    }
    conversation.finish(&mut bodies);
    let mut text = String::new();
    for one in conversation.take_done() {
        text.push_str(&format!("{} {:?}\n", one.depth, one.fault()));
        for part in [&one.request, &one.response].into_iter().flatten() {
            text.push_str(&format!("{:?} {:?} {:?}\n", part.head, part.body, part.fault));
        }
    }
    text
}

fuzz_target!(|input: &[u8]| {
    let whole = run(input, usize::MAX);
    assert_eq!(run(input, 1), whole);
    assert_eq!(run(input, 7), whole);
    // A hole anywhere.
    let mut conversation = Conversation::default();
    let (before, after) = input.split_at(input.len() / 2);
    let place = Place::default();
    for side in [Side::Request, Side::Response] {
        conversation.piece(side, Piece::Data(before, place), &mut Hashed(false));
        conversation.piece(side, Piece::Gap(u64::from(before.len() as u32), place), &mut Hashed(false));
        conversation.piece(side, Piece::Data(after, place), &mut Hashed(false));
    }
    conversation.finish(&mut Hashed(false));
});
