//! Which response is given to which request, with holes, and with captures that begin late.

use super::*;
use crate::stream::{Piece, Place};

const Q: Side = Side::Request;
const A: Side = Side::Response;

/// What a frame carries; `None` is a hole.
type Step<'a> = (u64, Side, Option<&'a str>);

/// One line an exchange, of steps that come in this order out of frames of these numbers.
fn lines(from_start: bool, steps: &[Step<'_>]) -> String {
    let mut conversation = Conversation::default();
    let mut bodies = Hashed(false);
    if from_start {
        conversation.begins_here();
    }
    for (frame, side, text) in steps {
        let place = Place { ts: *frame as i64, frame: *frame, timed: true };
        let piece = text.map_or(Piece::Gap(50, place), |text| Piece::Data(text.as_bytes(), place));
        conversation.piece(*side, piece, &mut bodies);
    }
    conversation.finish(&mut bodies);
    let start = |part: Option<&Part>| match part.map(|part| &part.head.start) {
        None => "-".to_owned(),
        Some(Start::Request { uri, .. }) => uri.to_string(),
        Some(Start::Response { message, .. }) => message.to_string(),
    };
    let line = |one: Box<Exchange>| {
        let [asked, answered] = [&one.request, &one.response].map(|part| start(part.as_ref()));
        format!("{} {asked} {answered} {}\n", one.depth, one.fault().unwrap_or("whole"))
    };
    conversation.take_done().map(line).collect()
}

fn ask(n: u32) -> String {
    format!("GET /{n} HTTP/1.1\r\n\r\n")
}

fn answer(n: u32) -> String {
    format!("HTTP/1.1 200 R{n}\r\nContent-Length: 2\r\n\r\nab")
}

#[test]
fn a_lost_response_does_not_shift_those_behind_it() {
    let (asks, answers) = ([1, 2, 3, 4].map(ask), [1, 2, 3, 4].map(answer));
    let (q, a) = (asks.each_ref().map(Some), answers.each_ref().map(Some));
    let expected = "1 /1 R1 whole\n2 /2 - bytes are missing\n3 /3 R3 whole\n4 /4 R4 whole\n";
    // The hole shows at once, or only when all requests are there.
    let mut steps = vec![
        (1, Q, q[0].map(|text| text.as_str())),
        (2, A, a[0].map(|text| text.as_str())),
        (3, Q, q[1].map(|text| text.as_str())),
    ];
    let mut late = steps.clone();
    steps.extend([(5, Q, q[2].map(|text| text.as_str())), (6, A, None), (6, A, a[2].map(|text| text.as_str()))]);
    steps.extend([(7, Q, q[3].map(|text| text.as_str())), (8, A, a[3].map(|text| text.as_str()))]);
    late.extend([(5, Q, q[2].map(|text| text.as_str())), (7, Q, q[3].map(|text| text.as_str())), (6, A, None)]);
    late.extend([(6, A, a[2].map(|text| text.as_str())), (8, A, a[3].map(|text| text.as_str()))]);
    assert_eq!(lines(true, &steps), expected);
    assert_eq!(lines(true, &late), expected);
}

#[test]
fn a_lost_request_does_not_shift_those_behind_it() {
    let text = [ask(1), answer(1), answer(2), answer(3), ask(3)];
    let [q1, a1, a2, a3, q3] = text.each_ref().map(|text| Some(text.as_str()));
    let steps = [(1, Q, q1), (2, A, a1), (4, A, a2), (6, A, a3), (5, Q, None), (5, Q, q3)];
    assert_eq!(lines(true, &steps), "1 /1 R1 whole\n2 - R2 no request\n3 /3 R3 whole\n");
}

#[test]
fn what_cannot_be_known_is_not_whole() {
    let (asks, answers) = ([1, 2, 3].map(ask).concat(), [answer(1), answer(3), answer(2)]);
    let [a1, a3, a2] = answers.each_ref().map(|text| Some(text.as_str()));
    let response_lost = [(1, Q, Some(asks.as_str())), (2, A, a1), (4, A, None), (4, A, a3)];
    let text = lines(true, &response_lost);
    assert_eq!(text.matches("whole").count(), 1, "{text}");
    assert!(text.contains("R3 bytes are missing"), "{text}");
    let (q1, q3) = (ask(1), ask(3));
    let request_lost =
        [(1, Q, Some(q1.as_str())), (4, A, a1), (5, A, a2), (6, A, a3), (3, Q, None), (3, Q, Some(q3.as_str()))];
    let text = lines(true, &request_lost);
    assert_eq!(text.matches("whole").count(), 1, "{text}");
    assert!(text.contains("/3 R2 bytes are missing"), "{text}");
}

#[test]
fn behind_a_hole_within_a_message_the_next_is_found() {
    let asks = [1, 2].map(ask).concat();
    let chunks = "HTTP/1.1 200 R1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab";
    let next = answer(2);
    let steps =
        [(1, Q, Some(asks.as_str())), (2, A, Some(chunks)), (4, A, None), (4, A, Some("xyz")), (5, A, Some(&next))];
    assert_eq!(lines(true, &steps), "1 /1 R1 bytes are missing between chunks\n2 /2 R2 whole\n");
}

#[test]
fn a_message_within_a_body_behind_a_hole_is_not_whole() {
    let (q1, q2) = (ask(1), ask(2));
    let inner = "HTTP/1.1 200 inner\r\nContent-Length: 3\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    let next = answer(2);
    let steps = [
        (1, Q, Some(q1.as_str())),
        (3, A, None),
        (3, A, Some(inner)),
        (4, Q, Some(q2.as_str())),
        (5, A, Some(next.as_str())),
    ];
    assert_eq!(lines(true, &steps), "1 /1 inner bytes are missing\n2 /2 R2 whole\n");
}

#[test]
fn a_response_that_runs_when_a_request_begins_is_not_its_answer() {
    let (q2, a1, a2) = (ask(2), answer(1), answer(2));
    let (head, body) = a1.split_at(a1.len() - 1);
    let steps = [(1, A, Some(head)), (2, Q, Some(q2.as_str())), (3, A, Some(body)), (4, A, Some(a2.as_str()))];
    assert_eq!(lines(false, &steps), "1 - R1 no request\n2 /2 R2 whole\n");
}

#[test]
fn the_first_two_of_a_whole_connection_belong_together() {
    let (q1, a1) = (ask(1), answer(1));
    let steps = [(1, A, Some(a1.as_str())), (2, Q, Some(q1.as_str()))];
    assert_eq!(lines(true, &steps), "1 /1 R1 whole\n");
    assert_eq!(lines(false, &steps), "1 - R1 no request\n2 /1 - no response\n");
    let hole = [(1, A, Some(a1.as_str())), (2, Q, None), (2, Q, Some(q1.as_str()))];
    assert_eq!(lines(true, &hole), "1 - R1 no request\n2 /1 - no response\n");
}

#[test]
fn responses_captured_before_their_requests_are_counted_off() {
    let text = [ask(1), answer(1), answer(2), ask(2), ask(3), answer(3)];
    let [q1, a1, a2, q2, q3, a3] = text.each_ref().map(|text| Some(text.as_str()));
    let steps = [(1, Q, q1), (2, A, a1), (3, A, a2), (4, Q, q2), (5, Q, q3), (6, A, a3)];
    assert_eq!(lines(true, &steps), "1 /1 R1 whole\n2 /2 R2 whole\n3 /3 R3 whole\n");
    assert!(lines(false, &steps).contains("- R2 no request"));
}

#[test]
fn a_client_that_never_hears_an_answer_is_bounded() {
    let (mut conversation, mut bodies) = (Conversation::default(), Hashed(false));
    let place = |frame| Place { ts: 0, frame, timed: true };
    conversation.piece(A, Piece::Gap(1, place(0)), &mut bodies);
    for frame in 1..5000 {
        conversation.piece(Q, Piece::Data(ask(1).as_bytes(), place(frame)), &mut bodies);
    }
    assert_eq!(conversation.take_done().count(), 4999 - 1024);
}

#[test]
fn a_burst_that_swallows_a_response_and_the_next_request_leaves_a_doubtful_pair() {
    let text = [ask(1), answer(2), ask(3), answer(3)];
    let [q1, a2, q3, a3] = text.each_ref().map(|text| Some(text.as_str()));
    let end = "2 /3 R3 whole\n";
    // The hole of the requests shows with the next one, or nothing more comes.
    let steps = [(1, Q, q1), (4, A, None), (4, A, a2), (5, Q, None), (5, Q, q3), (6, A, a3)];
    assert_eq!(lines(true, &steps), format!("1 /1 R2 bytes are missing\n{end}"));
    assert_eq!(lines(true, &[(1, Q, q1), (4, A, None), (4, A, a2), (5, Q, None)]), "1 /1 R2 bytes are missing\n");
    // An exchange that was swallowed as a whole lies between two that are known.
    let (answer1, steps) = (answer(1), [(1, Q, q1)]);
    let rest = [(2, A, Some(answer1.as_str())), (5, Q, None), (5, Q, q3), (6, A, None), (6, A, a3)];
    assert_eq!(lines(true, &[&steps[..], &rest].concat()), format!("1 /1 R1 whole\n{end}"));
}

#[test]
fn a_method_cut_by_a_hole_is_not_whole() {
    let response = answer(1);
    let cut = [(2, Q, None), (2, Q, Some("E /1 HTTP/1.1\r\n\r\n")), (3, A, Some(response.as_str()))];
    assert_eq!(lines(true, &cut), "1 /1 R1 bytes are missing in the head\n");
    let whole = [(2, Q, None), (2, Q, Some("DELETE /1 HTTP/1.1\r\n\r\n")), (3, A, Some(response.as_str()))];
    assert_eq!(lines(true, &whole), "1 /1 R1 whole\n");
    let next = [(4, Q, Some("FROB /2 HTTP/1.1\r\n\r\n")), (5, A, Some(response.as_str()))];
    assert_eq!(lines(true, &[&whole[..], &next].concat()), "1 /1 R1 whole\n2 /2 R1 whole\n");
}

#[test]
fn of_more_requests_than_are_kept_nothing_is_said_to_be_missing() {
    let asks: String = (1..=1030).map(ask).collect();
    let answers: String = (1..=1030).map(answer).collect();
    let text = lines(true, &[(1, Q, Some(&asks)), (2, A, Some(&answers))]);
    assert!(!text.contains("bytes are missing") && !text.contains("no re"), "{text}");
    assert_eq!(text.matches("more than 1024 requests at a time").count(), text.lines().count(), "{text}");
}

#[test]
fn of_a_server_captured_alone_no_request_is_too_many() {
    let answers: String = (1..=1030).map(answer).collect();
    let text = lines(false, &[(2, A, Some(&answers))]);
    assert_eq!(text.matches("no request").count(), 1030, "{text}");
}
