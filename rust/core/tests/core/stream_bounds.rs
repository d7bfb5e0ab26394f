//! Streams: memory follows those that are open, bounds are kept and counted, a hole is given up once its peer has passed
//! it, and where a stream begins and ends.

use sniffkit_core::app::http1::{Part, Start};
use sniffkit_core::app::raw::Tap;
use sniffkit_core::app::{Found, Wants, Who};
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::stream::{Limits, Piece};
use sniffkit_core::track::{Options, Tracker};
use std::sync::{Arc, Mutex};

use crate::segments::tcp;

const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;
const FIN: u8 = 1;
const RST: u8 = 4;
const MS: i64 = 1_000_000;

/// Of a stream: length, missing ranges, whether it was seen up to its FIN.
type Seen = (u64, Vec<(u64, u64)>, bool);

struct Run {
    tracker: Tracker,
    decoded: Decoded,
    number: u64,
}

impl Run {
    fn new(limits: Limits) -> Self {
        Self::of(Wants { http: true, ..Wants::default() }, limits)
    }

    /// Streams as they are.
    fn raw(limits: Limits) -> Self {
        Self::of(Wants { raw: true, ..Wants::default() }, limits)
    }

    fn of(streams: Wants, limits: Limits) -> Self {
        let mut decoded = Decoded::default();
        decoded.batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::RAW, 0))]);
        Self { tracker: Tracker::new(Options { streams, limits, ..Options::default() }), decoded, number: 0 }
    }

    fn frame(&mut self, ts: i64, bytes: &[u8]) {
        self.number += 1;
        self.decoded.batch.clear();
        let meta = FrameMeta { ts, number: self.number, frame_len: bytes.len() as u32, ..FrameMeta::default() };
        self.decoded.batch.push(meta, bytes);
        self.decoded.decode();
        self.tracker.batch(&self.decoded.batch, self.decoded.packets(), None);
    }

    /// Why each row so far is not whole.
    fn faults(&mut self) -> Vec<Option<&'static str>> {
        let fault = |found: &Found| match found {
            Found::Http(exchange) => exchange.fault(),
            other => panic!("{other:?}"),
        };
        self.tracker.streams().unwrap().rows().iter().map(|row| fault(&row.found)).collect()
    }

    /// One line a row of HTTP.
    fn exchanges(&mut self) -> Vec<String> {
        self.tracker.finish();
        let start = |part: &Option<Part>| match part.as_ref().map(|part| &part.head.start) {
            None => "-".to_owned(),
            Some(Start::Request { uri, .. }) => uri.to_string(),
            Some(Start::Response { status, .. }) => status.to_string(),
        };
        let line = |found: Found| match found {
            Found::Http(one) => {
                format!("{} {} {}", start(&one.request), start(&one.response), one.fault().unwrap_or("whole"))
            }
            other => panic!("{other:?}"),
        };
        self.tracker.streams().unwrap().rows().drain(..).map(|row| line(row.found)).collect()
    }

    fn streams(&mut self) -> Vec<Seen> {
        self.tracker.finish();
        let stream = |found: Found| match found {
            Found::Stream(one) => (one.body.len, one.body.missing, one.ended),
            other => panic!("{other:?}"),
        };
        self.tracker.streams().unwrap().rows().drain(..).map(|row| stream(row.found)).collect()
    }

    fn in_memory(&mut self) -> (usize, usize) {
        self.tracker.streams().unwrap().in_memory()
    }

    fn handshake(&mut self, ts: i64, port: u16) {
        self.frame(ts, &tcp(port, true, SYN, 99, 0, b""));
        self.frame(ts, &tcp(port, false, SYN | ACK, 199, 100, b""));
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const AFTER: u32 = 100 + REQUEST.len() as u32;
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n";
const BODY_AT: u32 = 200 + HEAD.len() as u32;

#[test]
fn closed_streams_leave_nothing_behind() {
    let mut run = Run::new(Limits::default());
    for n in 0..20_000u32 {
        let (ts, port) = (i64::from(n) * MS, 1024 + (n % 50_000) as u16);
        run.handshake(ts, port);
        run.frame(ts, &tcp(port, true, PSH | ACK, 100, 200, REQUEST));
        assert_eq!(run.in_memory(), (1, 0));
        run.frame(ts, &tcp(port, false, PSH | ACK, 200, AFTER, b"HTTP/1.1 204 No\r\n\r\n"));
        run.frame(ts, &tcp(port, false, FIN | ACK, 219, AFTER, b""));
        run.frame(ts, &tcp(port, true, FIN | ACK, AFTER, 220, b""));
        run.frame(ts, &tcp(port, false, ACK, 220, AFTER + 1, b""));
        assert_eq!(run.in_memory(), (0, 0));
        assert_eq!(run.tracker.streams().unwrap().rows().drain(..).count(), 1);
    }
    assert_eq!(run.tracker.streams().unwrap().counters().streams, 20_000);
}

#[test]
fn too_many_open_streams_give_up_the_oldest_and_count_them() {
    let mut run = Run::new(Limits { streams: 10, ..Limits::default() });
    for n in 0..100u16 {
        run.handshake(0, 1024 + n);
        run.frame(0, &tcp(1024 + n, true, PSH | ACK, 100, 200, REQUEST));
        assert!(run.in_memory().0 <= 10);
    }
    assert_eq!(run.tracker.streams().unwrap().counters().evicted_streams, 90);
    assert_eq!(run.faults(), [Some("no response"); 90]);
}

#[test]
fn what_waits_behind_holes_is_bounded_in_all_and_counted() {
    let limits = Limits { per_stream: 1 << 20, in_all: 100_000, ..Limits::default() };
    let mut run = Run::new(limits);
    for n in 0..200u16 {
        let port = 1024 + n;
        run.handshake(0, port);
        run.frame(0, &tcp(port, true, PSH | ACK, 100, 200, REQUEST));
        // Behind a hole of 5 bytes.
        run.frame(0, &tcp(port, false, ACK, 205, AFTER, &[b'x'; 1400]));
        assert!(run.in_memory().1 <= 100_000);
    }
    let counters = run.tracker.streams().unwrap().counters();
    assert!(counters.evicted_holes > 0);
    assert_eq!(counters.evicted_streams, 0);
}

#[test]
fn a_hole_that_the_peer_has_passed_is_declared_while_the_stream_goes_on() {
    let mut run = Run::new(Limits::default());
    run.handshake(0, 1024);
    run.frame(MS, &tcp(1024, true, PSH | ACK, 100, 200, REQUEST));
    run.frame(2 * MS, &tcp(1024, false, ACK, 200, AFTER, HEAD));
    // 10 bytes of the body are never captured; the client acknowledges them all the same.
    run.frame(3 * MS, &tcp(1024, false, ACK, BODY_AT + 10, AFTER, &[b'b'; 20]));
    run.frame(4 * MS, &tcp(1024, true, ACK, AFTER, BODY_AT, b""));
    run.frame(500 * MS, &tcp(1024, true, ACK, AFTER, BODY_AT, b""));
    assert_eq!(run.faults(), [], "the peer lacks these bytes too: they may still come");
    run.frame(501 * MS, &tcp(1024, true, ACK, AFTER, BODY_AT + 30, b""));
    assert_eq!(run.faults(), [], "an acknowledgment can be captured before its bytes");
    run.frame(700 * MS, &tcp(1024, true, ACK, AFTER, BODY_AT + 30, b""));
    assert_eq!(run.faults(), [Some("bytes are missing")]);
    assert_eq!(run.in_memory(), (1, 0));
    assert_eq!(run.tracker.streams().unwrap().counters().missing, 0, "counted when the stream ends");
}

#[test]
fn bytes_that_come_behind_their_acknowledgment_are_not_lost() {
    let mut run = Run::new(Limits::default());
    run.handshake(0, 1024);
    run.frame(MS, &tcp(1024, true, PSH | ACK, 100, 200, REQUEST));
    run.frame(2 * MS, &tcp(1024, false, ACK, 200, AFTER, HEAD));
    run.frame(3 * MS, &tcp(1024, false, ACK, BODY_AT + 10, AFTER, &[b'b'; 20]));
    run.frame(4 * MS, &tcp(1024, true, ACK, AFTER, BODY_AT + 30, b""));
    run.frame(5 * MS, &tcp(1024, false, ACK, BODY_AT, AFTER, &[b'a'; 10]));
    assert_eq!(run.faults(), [None]);
}

#[test]
fn a_stream_begins_behind_its_syn_whatever_was_acknowledged_first() {
    // The acknowledgment of the first segment was captured before it.
    let mut run = Run::raw(Limits::default());
    run.handshake(0, 1024);
    run.frame(MS, &tcp(1024, true, PSH | ACK, 100, 203, b"cli"));
    run.frame(2 * MS, &tcp(1024, false, ACK, 203, 103, b"def"));
    run.frame(3 * MS, &tcp(1024, false, ACK, 200, 103, b"abc"));
    run.frame(4 * MS, &tcp(1024, false, FIN | ACK, 206, 103, b""));
    assert_eq!(run.streams(), [(3, vec![], false), (6, vec![], true)]);
    // It was not captured.
    let mut run = Run::raw(Limits::default());
    run.handshake(0, 1024);
    run.frame(MS, &tcp(1024, true, PSH | ACK, 100, 203, b"cli"));
    run.frame(2 * MS, &tcp(1024, false, FIN | ACK, 203, 103, b"def"));
    assert_eq!(run.streams(), [(3, vec![], false), (6, vec![(0, 3)], true)]);
}

#[test]
fn a_fin_that_was_captured_before_the_bytes_is_known() {
    let mut run = Run::raw(Limits::default());
    run.handshake(0, 1024);
    run.frame(MS, &tcp(1024, false, FIN | ACK, 204, 100, b""));
    run.frame(2 * MS, &tcp(1024, true, FIN | ACK, 100, 200, b""));
    run.frame(3 * MS, &tcp(1024, false, ACK, 200, 101, b"late"));
    assert_eq!(run.streams(), [(4, vec![], true)]);
}

#[test]
fn a_reset_of_another_number_ends_nothing() {
    for (seq, len) in [(123_456, 8), (150, 8), (204, 4), (205, 4)] {
        let mut run = Run::raw(Limits::default());
        run.handshake(0, 1024);
        run.frame(MS, &tcp(1024, false, PSH | ACK, 200, 100, b"abcd"));
        run.frame(2 * MS, &tcp(1024, false, RST, seq, 0, b""));
        run.frame(3 * MS, &tcp(1024, false, PSH | ACK, 204, 100, b"efgh"));
        assert_eq!(run.streams()[0].0, len, "{seq}");
    }
}

#[test]
fn bytes_that_are_sent_again_fill_their_hole_in_files() {
    let mut run = Run::raw(Limits::default());
    run.handshake(0, 1024);
    run.frame(MS, &tcp(1024, false, ACK, 200, 100, b"abc"));
    run.frame(2 * MS, &tcp(1024, false, ACK, 206, 100, b"ghi"));
    run.frame(3 * MS, &tcp(1024, true, ACK, 100, 209, b""));
    run.frame(1500 * MS, &tcp(1024, true, ACK, 100, 209, b""));
    run.frame(1501 * MS, &tcp(1024, false, ACK, 203, 100, b"def"));
    assert_eq!(run.streams(), [(9, vec![], false)]);
}

#[test]
fn what_is_left_of_a_stream_that_was_given_up_is_another_where_there_is_room() {
    let mut run = Run::raw(Limits { streams: 1, ..Limits::default() });
    run.frame(0, &tcp(1024, true, ACK, 100, 1, b"abc"));
    run.frame(0, &tcp(1025, true, ACK, 100, 1, b"abc"));
    run.frame(0, &tcp(1024, true, ACK, 103, 1, b"lost"));
    run.frame(0, &tcp(1025, true, ACK, 103, 1, b"def"));
    run.frame(0, &tcp(1025, true, RST, 106, 1, b""));
    run.frame(0, &tcp(1024, true, ACK, 107, 1, b"hi"));
    run.frame(0, &tcp(1024, true, FIN | ACK, 109, 1, b""));
    let lengths: Vec<_> = run.streams().iter().map(|(len, ..)| *len).collect();
    assert_eq!(lengths, [3, 6, 2]);
    assert_eq!(run.tracker.streams_counted().unwrap().evicted_streams, 1);
}

#[test]
fn a_syn_of_nobody_hides_no_stream() {
    let mut run = Run::raw(Limits::default());
    run.frame(0, &tcp(1024, true, SYN, 99, 0, b""));
    run.frame(1, &tcp(1024, false, SYN | ACK, 5_000_000, 100, b""));
    run.frame(2, &tcp(1024, true, ACK, 100, 201, b"hi"));
    run.frame(3, &tcp(1024, false, ACK, 201, 102, b"world"));
    let lengths: Vec<_> = run.streams().iter().map(|(len, missing, _)| (*len, missing.len())).collect();
    assert_eq!(lengths, [(2, 0), (5, 0)]);
}

#[test]
fn a_stream_met_midway_may_come_backwards() {
    let mut run = Run::raw(Limits::default());
    for at in (0..20_000).rev() {
        run.frame(0, &tcp(1024, true, ACK, 100 + at, 1, b"x"));
    }
    let (len, missing, _) = &run.streams()[0];
    assert_eq!((*len, missing.len()), (20_000, 0));
}

#[test]
fn a_stream_met_midway_begins_at_its_lowest_segment() {
    let mut run = Run::raw(Limits::default());
    run.frame(MS, &tcp(1024, false, ACK, 206, 100, b"ghi"));
    run.frame(2 * MS, &tcp(1024, true, ACK, 100, 203, b""));
    run.frame(3 * MS, &tcp(1024, false, ACK, 203, 100, b"def"));
    run.frame(4 * MS, &tcp(1024, false, ACK, 200, 100, b"abc"));
    run.frame(5 * MS, &tcp(1024, true, ACK, 100, 209, b""));
    assert_eq!(run.in_memory(), (1, 0), "acknowledged: nothing comes before it");
    run.frame(6 * MS, &tcp(1024, false, FIN | ACK, 209, 100, b"j"));
    assert_eq!(run.streams(), [(10, vec![], true)]);
    // Without acknowledgments it waits for a moment.
    let mut run = Run::raw(Limits::default());
    run.frame(MS, &tcp(1024, false, ACK, 203, 100, b"def"));
    run.frame(200 * MS, &tcp(1024, false, FIN | ACK, 206, 100, b"g"));
    assert_eq!(run.in_memory(), (1, 0));
    assert_eq!(run.streams(), [(4, vec![], true)]);
}

const OLD: &[u8] = b"HTTP/1.1 404 Old\r\nContent-Length: 3\r\n\r\nold";
const NEW: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew";

#[test]
fn what_a_request_acknowledges_does_not_answer_it() {
    let (old, end) = (900 - OLD.len() as u32, 900 + NEW.len() as u32);
    for again in [(old, OLD), (880, &OLD[OLD.len() - 20..]), (899, b"\0")] {
        for handshake in [false, true] {
            let mut run = Run::new(Limits::default());
            if handshake {
                run.frame(0, &tcp(1024, true, SYN, 79, 0, b""));
                run.frame(0, &tcp(1024, false, SYN | ACK, old - 7, 80, b""));
                run.frame(0, &tcp(1024, true, ACK, 80, old - 6, b"plain line, not HTTP"));
                run.frame(0, &tcp(1024, false, ACK, old - 6, 100, b"220 go"));
                run.frame(0, &tcp(1024, false, ACK, old, 100, OLD.split_at(4).1));
            }
            run.frame(MS, &tcp(1024, true, ACK, 100, 900, REQUEST));
            run.frame(2 * MS, &tcp(1024, false, ACK, again.0, 100, again.1));
            run.frame(3 * MS, &tcp(1024, false, ACK, 900, AFTER, NEW));
            run.frame(4 * MS, &tcp(1024, true, ACK, AFTER, end, REQUEST));
            run.frame(5 * MS, &tcp(1024, false, ACK, end, AFTER + REQUEST.len() as u32, OLD));
            assert_eq!(run.exchanges(), ["/ 200 whole", "/ 404 whole"], "{handshake} {again:?}");
        }
    }
}

#[test]
fn a_request_that_was_captured_behind_its_answer_is_not_lost() {
    let mut run = Run::new(Limits::default());
    run.frame(MS, &tcp(1024, false, ACK, 900, AFTER, NEW));
    run.frame(2 * MS, &tcp(1024, true, ACK, AFTER - 1, 900, b"\0"));
    run.frame(3 * MS, &tcp(1024, true, ACK, 100, 900, REQUEST));
    let rows = run.exchanges();
    assert!(rows.iter().any(|row| row.starts_with("/ ")) && rows.len() <= 2, "{rows:?}");
}

#[test]
fn a_side_of_http2_may_begin_unasked() {
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    let ask = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
    let asked = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], ask].concat();
    let answer = [&b"\0\0\0\x04\x01\0\0\0\0"[..], b"\0\0\x01\x01\x05\0\0\0\x01\x88"].concat();
    let after = 100 + asked.len() as u32;
    for (ack, again) in [(200, false), (209, false), (200, true)] {
        let mut run = Run::new(Limits::default());
        run.handshake(0, 1024);
        run.frame(MS, &tcp(1024, false, ACK, 200, 100, settings));
        run.frame(2 * MS, &tcp(1024, true, ACK, 100, ack, &asked));
        if again {
            run.frame(3 * MS, &tcp(1024, false, ACK, 200, 100, settings));
        }
        run.frame(4 * MS, &tcp(1024, false, ACK, 209, after, &answer));
        assert_eq!(run.exchanges(), ["/ 200 whole"], "{ack} {again}");
    }
    // What came before its request was captured is an answer: it is missing, not skipped.
    let mut run = Run::new(Limits::default());
    run.handshake(0, 1024);
    run.frame(MS, &tcp(1024, false, ACK, 200, 100, settings));
    run.frame(2 * MS, &tcp(1024, false, ACK, 209, after, &answer));
    run.frame(3 * MS, &tcp(1024, true, ACK, 100, 200, &asked));
    assert!(run.exchanges().iter().all(|row| row.starts_with("/ - ")));
}

/// Writes down what it hears.
struct Ear(Arc<Mutex<String>>);

impl Tap for Ear {
    fn wants(&mut self, _who: &Who) -> bool {
        true
    }
    fn piece(&mut self, _who: &Who, _side: usize, piece: Piece<'_>) {
        let text = match piece {
            Piece::Data(bytes, _) => String::from_utf8_lossy(bytes).into_owned(),
            Piece::Gap(len, _) => "?".repeat(len as usize),
        };
        self.0.lock().unwrap().push_str(&text);
    }
}

#[test]
fn what_waits_of_both_sides_comes_out_in_the_order_of_its_frames() {
    let mut run = Run::raw(Limits::default());
    let heard = Arc::new(Mutex::new(String::new()));
    run.tracker.streams().unwrap().listen(Box::new(Ear(heard.clone())));
    run.handshake(0, 1024);
    run.frame(MS, &tcp(1024, true, PSH | ACK, 100, 200, b"a"));
    // The answer, and what was asked next, are missing.
    run.frame(2 * MS, &tcp(1024, false, PSH | ACK, 201, 102, b"B"));
    run.frame(3 * MS, &tcp(1024, true, PSH | ACK, 102, 202, b"c"));
    run.frame(4 * MS, &tcp(1024, false, PSH | ACK, 202, 103, b"C"));
    run.tracker.finish();
    assert_eq!(*heard.lock().unwrap(), "a?B?cC");
}

#[test]
fn a_byte_that_crossed_is_shown_though_it_may_be_a_keep_alives() {
    let mut run = Run::raw(Limits::default());
    let heard = Arc::new(Mutex::new(String::new()));
    run.tracker.streams().unwrap().listen(Box::new(Ear(heard.clone())));
    run.frame(0, &tcp(1024, true, PSH | ACK, 100, 201, b"x"));
    run.frame(MS, &tcp(1024, false, PSH | ACK, 200, 100, b"H"));
    run.frame(2 * MS, &tcp(1024, false, PSH | ACK, 201, 101, b"ELLO"));
    run.tracker.finish();
    let mut letters: Vec<char> = heard.lock().unwrap().chars().collect();
    letters.sort_unstable();
    assert_eq!(letters, ['E', 'H', 'L', 'L', 'O', 'x']);
}
