//! What is told of bodies of which little was captured, or decoded.

use super::*;
use crate::app::content::{BodyFile, Work};
use crate::stream::{Piece, Place};

#[test]
fn the_length_of_a_body_that_was_not_seen_is_not_known() {
    let place = Place::default();
    for (head, gap, len) in [
        ("HTTP/1.1 200 OK\r\nContent-Le", 0, None),
        ("HTTP/1.1 200 OK\r\nContent-Le", 99, None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 0, None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 99, None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 9, Some(9)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", 0, Some(1)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 99, Some(0)),
        ("HTTP/1.1 204 No Content\r\n\r\n", 0, Some(0)),
    ] {
        let mut conversation = Conversation::default();
        let mut bodies = Hashed(true);
        conversation.piece(Side::Response, Piece::Data(head.as_bytes(), place), &mut bodies);
        conversation.piece(Side::Response, Piece::Gap(gap, place), &mut bodies);
        conversation.finish(&mut bodies);
        let one = conversation.take_done().next().expect("an exchange");
        assert_eq!(one.response.as_ref().and_then(Part::body_len), len, "{head} and {gap} missing");
    }
    // Its end says that it has none.
    let mut conversation = Conversation::default();
    let mut bodies = Hashed(true);
    conversation.piece(Side::Response, Piece::Data(b"HTTP/1.1 200 OK\r\n\r\n", place), &mut bodies);
    conversation.close(Side::Response, true, place, &mut bodies);
    conversation.finish(&mut bodies);
    let one = conversation.take_done().next().expect("an exchange");
    assert_eq!(one.response.as_ref().and_then(Part::body_len), Some(0));
}

struct Bounded;

impl Bodies for Bounded {
    fn open(&mut self, _: &Exchange, _: Side) -> Option<BodyFile> {
        None
    }
    fn work(&self) -> Work {
        Work::Decode
    }
    fn limit(&self) -> u64 {
        1 << 20
    }
}

#[test]
fn bombs_of_one_connection_have_a_bound_in_all() {
    let gzip = |bytes: &[u8]| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
    };
    let once = gzip(&vec![0; 1 << 20]);
    let twice = gzip(&once);
    let (plain, small) = (vec![0; 1 << 20], gzip(b"abc"));
    let over = Some("decoded body longer than the limit");
    let bodies: [(&str, &[u8], Option<&str>); 7] = [
        ("gzip", &once, None),
        ("gzip", &once, None),
        ("gzip, gzip", &twice, None),
        ("gzip, gzip", &twice, over),
        ("gzip, gzip", &twice, over),
        ("gzip", &small, None),
        ("identity", &plain, None),
    ];
    let mut conversation = Conversation::default();
    for (coding, body, _) in bodies {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len());
        for bytes in [head.as_bytes(), body] {
            conversation.piece(Side::Response, Piece::Data(bytes, Place::default()), &mut Bounded);
        }
    }
    conversation.finish(&mut Bounded);
    let faults = conversation.take_done().map(|one| one.response.as_ref().and_then(|part| part.body.fault));
    assert_eq!(faults.collect::<Vec<_>>(), bodies.map(|(_, _, fault)| fault));
}
