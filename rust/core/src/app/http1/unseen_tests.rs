//! What is told of bodies of which little was captured.

use super::*;
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
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", 0, Some(0)),
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
