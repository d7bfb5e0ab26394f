//! HTTP/2 against RFC 9113: streams that are reset, pushed and malformed, beside others of the same connection.

use sniffkit_core::app::dns::Multicast;
use sniffkit_core::app::http1::{Exchange, Part, Start};
use sniffkit_core::app::{After, Facts, Found, Looks, OVER_TCP, Out, Row, Wants, Who};
use sniffkit_core::stream::{Piece, Place};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const CANCEL: &[u8] = &[0, 0, 0, 8];
/// `:status: 200`, of the static table (RFC 7541, appendix A).
const OK: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field, neither compressed nor, unless asked for, put into the table (RFC 7541, 6.2).
fn field(indexed: bool, name: &str, value: &str) -> Vec<u8> {
    let kind = if indexed { 0x40 } else { 0 };
    [&[kind, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// `GET path`.
fn request(path: &str) -> Vec<u8> {
    [&[0x82, 0x86][..], &field(false, ":path", path)].concat()
}

/// The rows of what the client (0) and the server (1) sent in turn.
fn rows(steps: &[(usize, Vec<u8>)]) -> Vec<Exchange> {
    let whole: Vec<_> = steps.iter().map(|(side, bytes)| (*side, bytes.clone(), 0)).collect();
    rows_with_holes(&whole)
}

/// The same where so many bytes are missing behind each step.
fn rows_with_holes(steps: &[(usize, Vec<u8>, u64)]) -> Vec<Exchange> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let protocol = OVER_TCP.iter().find(|one| (one.looks)(PREFACE, (40_000, 80)) == Looks::Client).expect("HTTP/2");
    let mut parser = (protocol.make)(0);
    let (mut facts, mut rows) = (Facts::default(), Vec::new());
    let wants = Wants { http: true, ..Wants::default() };
    let (facts, rows_now, multicast) = (&mut facts, &mut rows, &mut Multicast::default());
    let mut out = Out { wants, who: Who::default(), facts, rows: rows_now, multicast, files: None, tap: None };
    let steps = [&[(0, PREFACE.to_vec(), 0)], steps].concat();
    for (at, (side, bytes, missing)) in steps.iter().enumerate() {
        let place = Place { ts: at as i64, frame: at as u64, timed: true };
        if parser.piece(*side, Piece::Data(bytes, place), &mut out) == After::Enough
            || *missing > 0 && parser.piece(*side, Piece::Gap(*missing, place), &mut out) == After::Enough
        {
            break;
        }
    }
    parser.finish(&mut out);
    rows.sort_by_key(|row| row.first.frame);
    let exchange = |row: Row| {
        let Found::Http(one) = row.found else { panic!("{:?}", row.found) };
        *one
    };
    rows.into_iter().map(exchange).collect()
}

/// One line a row.
fn lines(steps: &[(usize, Vec<u8>)]) -> String {
    let start = |part: &Option<Part>| match part.as_ref().map(|part| &part.head.start) {
        None => "-".to_owned(),
        Some(Start::Request { method, uri }) => format!("{method} {uri}"),
        Some(Start::Response { status, .. }) => status.to_string(),
    };
    let line = |one: &Exchange| {
        format!("{} {} {}\n", start(&one.request), start(&one.response), one.fault().unwrap_or("whole"))
    };
    rows(steps).iter().map(line).collect()
}

/// The second request and its response, which show whether the connection is still read.
fn second() -> [(usize, Vec<u8>); 2] {
    let answer = [frame(HEADERS, END_HEADERS, 3, OK), frame(DATA, END_STREAM, 3, b"two")].concat();
    [(0, frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("/two"))), (1, answer)]
}

#[test]
fn what_was_on_its_way_when_its_stream_was_reset_is_passed_over() {
    let ask = (0, frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/one")));
    let cancel = (0, frame(RST_STREAM, 0, 1, CANCEL));
    let head = frame(HEADERS, END_HEADERS, 1, OK);
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, &field(false, "grpc-status", "1"));
    let late = [frame(DATA, 0, 1, b"more"), trailers].concat();
    let behind_head = [&[ask.clone(), (1, head.clone()), cancel.clone(), (1, late)], &second()[..]].concat();
    assert_eq!(lines(&behind_head), "GET /one 200 stream reset\nGET /two 200 whole\n");
    let whole = [head, frame(DATA, END_STREAM, 1, b"one")].concat();
    let before_head = [&[ask, cancel, (1, whole)], &second()[..]].concat();
    assert_eq!(lines(&before_head), "GET /one - stream reset\nGET /two 200 whole\n");
    let upload = (0, frame(HEADERS, END_HEADERS, 1, &request("/up")));
    let rest = (0, frame(HEADERS, END_HEADERS | END_STREAM, 1, &field(false, "x-sum", "1")));
    let by_server = [&[upload, (1, frame(RST_STREAM, 0, 1, CANCEL)), rest], &second()[..]].concat();
    assert_eq!(lines(&by_server), "GET /up - stream reset\nGET /two 200 whole\n");
}

#[test]
fn fields_of_a_reset_stream_stay_in_the_table() {
    let ask = (0, frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/one")));
    let late = (1, frame(HEADERS, END_HEADERS, 1, &[OK, &field(true, "content-type", "text/x")].concat()));
    let mut steps = vec![ask, (0, frame(RST_STREAM, 0, 1, CANCEL)), late];
    let [again, _] = second();
    // 62 is the first field of the dynamic table (RFC 7541, 2.3.3).
    steps.extend([again, (1, frame(HEADERS, END_HEADERS | END_STREAM, 3, &[OK, &[0x80 | 62]].concat()))]);
    assert_eq!(lines(&steps), "GET /one - stream reset\nGET /two 200 whole\n");
}

#[test]
fn a_response_may_be_captured_before_its_request() {
    let [ask, answer] = second();
    assert_eq!(lines(&[answer, ask]), "GET /two 200 whole\n");
}

#[test]
fn a_pushed_response_answers_what_was_promised() {
    let ask = (0, frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/page")));
    let promise = frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &request("/style")].concat());
    let of = |stream| [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, END_STREAM, stream, b"x")].concat();
    let text = lines(&[ask, (1, [promise, of(1), of(2)].concat())]);
    assert_eq!(text, "GET /page 200 whole\nGET /style 200 whole\n");
}

#[test]
fn a_block_without_pseudo_fields_is_the_fault_of_its_stream() {
    let bad = (0, frame(HEADERS, END_HEADERS | END_STREAM, 1, &field(false, "x", "y")));
    let answer = (1, frame(HEADERS, END_HEADERS | END_STREAM, 1, OK));
    let steps = [&[bad, answer], &second()[..]].concat();
    assert_eq!(lines(&steps), "- 200 header block without its pseudo-fields\nGET /two 200 whole\n");
}

#[test]
fn a_block_of_an_open_stream_takes_no_others_place() {
    const OPEN: u32 = 1024;
    let ends = END_HEADERS | END_STREAM;
    let ask = |number: u32| (0, frame(HEADERS, ends, 2 * number + 1, &request(&format!("/{number}"))));
    let answer = |number: u32| (1, frame(HEADERS, ends, 2 * number + 1, OK));
    let mut steps: Vec<(usize, Vec<u8>)> = (0..OPEN).map(ask).collect();
    steps.extend((0..OPEN).rev().map(answer));
    assert_eq!(lines(&steps).matches(" 200 whole\n").count(), OPEN as usize);
    // One more, and the oldest is given up.
    steps.insert(OPEN as usize, ask(OPEN));
    let text = lines(&steps);
    assert_eq!(text.matches(" 200 whole\n").count(), OPEN as usize - 1);
    assert!(text.starts_with("GET /0 - more than 1024 requests at a time\nGET /1 200 whole\n"), "{text}");
}

/// `GET path` behind an update of the table's size to 128 KiB (RFC 7541, 6.3).
fn with_large_table(path: &str) -> Vec<u8> {
    [&[0x3f, 0xe1, 0xff, 0x07][..], &request(path)].concat()
}

#[test]
fn a_table_larger_than_what_is_kept_of_it_is_read_while_that_is_enough() {
    let ends = END_HEADERS | END_STREAM;
    let long = "v".repeat(120);
    let fields = |count: usize| field(true, "x", &long).repeat(count);
    let newest = [&[0x80 | 62][..], &request("/b")].concat();
    let ask =
        |number: u32, block: &[u8]| [(0, frame(HEADERS, ends, number, block)), (1, frame(HEADERS, ends, number, OK))];
    let mut steps = ask(1, &[with_large_table("/a"), fields(400)].concat()).to_vec();
    steps.extend(ask(3, &[&newest[..], &fields(400)].concat()));
    // 428 fields of 153 bytes have room in 64 KiB: that one is there, the one before it is not.
    steps.extend(ask(5, &[&[0xff, 0xea, 0x02][..], &request("/c")].concat()));
    let whole = "GET /a 200 whole\nGET /b 200 whole\n";
    assert_eq!(lines(&steps), format!("{whole}GET /c 200 whole\n"));
    steps.extend(ask(7, &[&[0xff, 0xeb, 0x02][..], &request("/d")].concat()));
    assert_eq!(lines(&steps), format!("{whole}GET /c 200 whole\n  - header table larger than 65536 bytes\n"));
}

#[test]
fn the_request_at_which_reading_ends_has_a_row() {
    let ends = END_HEADERS | END_STREAM;
    // Size 2 MiB; an index of nothing; padding longer than its frame.
    for (flags, block, fault) in [
        (ends, &[0x3f, 0xe1, 0xff, 0x7f, 0x82][..], "header table larger than 65536 bytes"),
        (ends, &[0x80 | 70], "header block cannot be decoded"),
        (ends | PADDED, &[9, 0x82], "frame whose lengths do not fit"),
    ] {
        let [ask, answer] = second();
        let steps = [(0, frame(HEADERS, flags, 5, block)), (1, frame(HEADERS, ends, 5, OK))];
        let text = lines(&[&[ask, answer], &steps[..]].concat());
        assert_eq!(text, format!("GET /two 200 whole\n  - {fault}\n"));
    }
}

#[test]
fn codings_of_the_table_without_end_take_no_memory() {
    let long = "g".repeat(100);
    let block = [request("/"), field(true, "content-encoding", &long), vec![0x80 | 62; 10_000]].concat();
    let steps = [(0, frame(HEADERS, END_HEADERS, 1, &block)), (1, frame(HEADERS, END_HEADERS | END_STREAM, 1, OK))];
    let found = rows(&steps);
    let codings = found[0].request.as_ref().and_then(|part| part.head.content_encoding.as_ref()).expect("codings");
    assert_eq!(codings.len(), 3 * 100 + 2 * ", ".len());
}

#[test]
fn what_comes_behind_the_end_of_a_message_is_no_body() {
    let ask = (0, frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/")));
    let more = (0, frame(DATA, END_STREAM, 1, b"more"));
    let found = rows(&[ask, more, (1, frame(HEADERS, END_HEADERS | END_STREAM, 1, OK))]);
    assert_eq!(found[0].request.as_ref().map(|part| part.body.len), Some(0));
}

#[test]
fn fields_are_not_put_into_the_table_twice() {
    // Behind them a size, which stands in front only: the block is not to be read again.
    let block = [&[0x3f, 0xe1, 0x1f][..], &request("/a"), &field(true, "x", "y"), &[0x3f, 0xe1, 0xff, 0x07]].concat();
    let steps = [(0, frame(HEADERS, END_HEADERS | END_STREAM, 1, &block))];
    assert_eq!(lines(&steps), "  - header table larger than 65536 bytes\n");
}

#[test]
fn a_length_that_is_not_that_of_the_body_is_odd() {
    let with = |status: &[u8], len: &str| [status, &field(false, "content-length", len)].concat();
    let head = |flags, status, len| frame(HEADERS, END_HEADERS | flags, 1, &with(status, len));
    let five = frame(DATA, END_STREAM, 1, b"hello");
    let asks = [&field(false, ":method", "HEAD")[..], &[0x86], &field(false, ":path", "/")].concat();
    let odd = "Content-Length is not that of the body";
    for (block, answer, fault) in [
        (request("/"), [head(0, OK, "5"), five.clone()].concat(), "200 whole"),
        (request("/"), [head(0, OK, "99"), five.clone()].concat(), &format!("200 {odd}")),
        (request("/"), head(END_STREAM, OK, "99"), &format!("200 {odd}")),
        (request("/"), head(END_STREAM, &[0x8b], "99"), "304 whole"),
        (request("/"), [head(0, OK, "99"), frame(RST_STREAM, 0, 1, CANCEL)].concat(), "200 stream reset"),
        (asks, head(END_STREAM, OK, "99"), "200 whole"),
    ] {
        let text = lines(&[(0, frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)), (1, answer)]);
        assert_eq!(text.split_once(" / ").map(|(_, row)| row), Some(&*format!("{fault}\n")));
    }
    let upload = [frame(HEADERS, END_HEADERS, 1, &with(&request("/up"), "4")), five.clone()].concat();
    let text = lines(&[(0, upload), (1, [head(0, OK, "5"), five].concat())]);
    assert_eq!(text, format!("GET /up 200 {odd}\n"));
    // Nobody knows what this answers.
    assert_eq!(lines(&[(1, head(END_STREAM, OK, "99"))]), "- 200 no request\n");
}

#[test]
fn a_hole_up_to_the_end_of_a_frame_ends_it() {
    let ask = (0, frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/one")), 0);
    let head = (1, frame(HEADERS, END_HEADERS, 1, OK), 0);
    let mut cut = frame(DATA, END_STREAM, 1, &[7; 300]);
    cut.truncate(9 + 100);
    let mut steps = vec![ask, head, (1, cut, 200)];
    steps.extend(second().map(|(side, bytes)| (side, bytes, 0)));
    let found = rows_with_holes(&steps);
    let of = |one: &Exchange| one.response.as_ref().map(|part| (part.body_len(), part.last.frame));
    assert_eq!((found[0].fault(), of(&found[0])), (Some("bytes are missing"), Some((Some(300), 3))));
    assert_eq!((found[1].fault(), of(&found[1])), (None, Some((Some(3), 5))));
}

#[test]
fn the_length_of_a_body_that_was_not_seen_is_not_known() {
    let ask = (0, frame(HEADERS, END_HEADERS, 1, &request("/")), 0);
    let head = (1, frame(HEADERS, END_HEADERS, 1, OK), 0);
    let found = rows_with_holes(&[ask.clone(), head.clone(), (1, vec![], 99)]);
    let of = |part: &Option<Part>| part.as_ref().and_then(Part::body_len);
    assert_eq!((of(&found[0].request), of(&found[0].response)), (None, None));
    // What was reset had none.
    let found = rows_with_holes(&[ask, head, (1, frame(RST_STREAM, 0, 1, CANCEL), 0)]);
    assert_eq!((of(&found[0].request), of(&found[0].response)), (Some(0), Some(0)));
}
