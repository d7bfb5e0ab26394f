//! What connections are recognised by, and what their flows say then.

use sniffkit_core::app::{Found, Text, Wants};
use sniffkit_core::decode::Proto;
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::track::{Options, Tracker};
use std::sync::Arc;

use crate::segments::tcp;

/// The handshake of a connection of port 80 and what its ends send in turn; `true` is the client.
fn segments(pieces: &[(bool, &[u8])]) -> Vec<Vec<u8>> {
    let mut next = [200, 100]; // by "is the client"
    let mut frames = vec![tcp(9, true, 2, 99, 0, b""), tcp(9, false, 18, 199, 100, b"")];
    for (is_client, bytes) in pieces {
        let [own, peer] = [*is_client, !*is_client].map(usize::from);
        frames.push(tcp(9, *is_client, 24, next[own], next[peer], bytes));
        next[own] += bytes.len() as u32;
    }
    frames
}

fn run(streams: Wants, pieces: &[(bool, &[u8])]) -> Tracker {
    account(streams, &segments(pieces))
}

fn account(streams: Wants, frames: &[Vec<u8>]) -> Tracker {
    let mut decoded = Decoded::default();
    decoded.batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::RAW, 0))]);
    let mut tracker = Tracker::new(Options { streams, ..Options::default() });
    for (number, bytes) in (1..).zip(frames) {
        decoded.batch.clear();
        let (ts, frame_len) = (number as i64 * 1_000_000, bytes.len() as u32);
        decoded.batch.push(FrameMeta { ts, number, frame_len, ..FrameMeta::default() }, bytes);
        decoded.decode();
        tracker.batch(&decoded.batch, decoded.packets(), None);
    }
    tracker.finish();
    tracker
}

/// What the only flow was named by its bytes, and by its streams; HTTP host and TLS server name.
fn facts(pieces: &[(bool, &[u8])]) -> (Option<Proto>, Option<&'static str>, [Option<String>; 2]) {
    let mut tracker = run(Wants { facts: true, ..Wants::default() }, pieces);
    let slot = tracker.finished_order()[0];
    let flow = tracker.flow(slot);
    let text = |which| flow.facts.as_ref().and_then(|facts| facts.text(which)).map(str::to_owned);
    let service = flow.facts.as_ref().and_then(|facts| facts.service());
    (flow.service, service, [Text::HttpHost, Text::TlsServerName].map(text))
}

/// Status and fault of each row of `http`, of frames.
fn statuses(mut tracker: Tracker) -> Vec<(Option<String>, Option<&'static str>)> {
    let row = |found: &Found| match found {
        Found::Http(one) => (one.response.as_ref().map(|part| format!("{:?}", part.head.start)), one.fault()),
        other => panic!("{other:?}"),
    };
    tracker.streams().expect("streams").rows().iter().map(|one| row(&one.found)).collect()
}

/// A ClientHello in one record.
fn hello() -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let names = sized(&[&[0][..], &sized(b"tls.example")].concat());
    let extensions = [&[0, 0][..], &sized(&names), &[0, 43], &sized(&[2, 3, 4])].concat();
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &sized(&extensions)].concat();
    [&[22, 3, 1][..], &sized(&[&[1, 0][..], &sized(&body)].concat())].concat()
}

#[test]
fn requests_of_other_protocols_are_not_http() {
    for ask in [
        &b"OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"[..],
        b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n",
        b"GET key\r\n",
        b"GET the milk, please",
    ] {
        assert_eq!(facts(&[(true, ask)]).0, None, "{}", String::from_utf8_lossy(ask));
    }
    for ask in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"GET /old\r\n",
        b"OPTIONS * HTTP/1.1\n",
        b"GET /a/long/path/that/goes/on",
        b"POST http://x",
        b"CONNECT x.example:4",
        b"HTTP/1.1 200",
    ] {
        assert_eq!(facts(&[(true, ask)]).0, Some(Proto::Http), "{}", String::from_utf8_lossy(ask));
    }
}

#[test]
fn what_comes_later_does_not_name_a_flow_unless_it_is_read() {
    let mail: [(bool, &[u8]); 3] =
        [(false, b"220 mx\r\n"), (true, b"DATA\r\n"), (true, b"GET / HTTP/1.1 is a line\r\n")];
    assert_eq!(facts(&mail), (None, None, [None, None]));
    let quoted: [(bool, &[u8]); 3] =
        [(false, b"220 mx\r\n"), (true, b"DATA\r\n"), (true, b"\x17\x03\x03\x00\x05hello")];
    assert_eq!(facts(&quoted).0, None);
    let hello = hello();
    let upgraded: [(bool, &[u8]); 3] = [(true, b"STARTTLS\r\n"), (false, b"220 go\r\n"), (true, &hello)];
    assert_eq!(facts(&upgraded), (None, Some("tls"), [None, Some("tls.example".into())]));
}

#[test]
fn a_tunnel_has_facts_of_what_it_carries() {
    let hello = hello();
    let steps: [(bool, &[u8]); 4] = [
        (true, b"CONNECT tls.example:443 HTTP/1.1\r\nHost: tls.example:443\r\n\r\n"),
        (false, b"HTTP/1.1 200 OK\r\n\r\n"),
        (true, &hello[..20]),
        (true, &hello[20..]),
    ];
    let (_, service, texts) = facts(&steps);
    assert_eq!((service, texts), (Some("http"), [Some("tls.example:443".into()), Some("tls.example".into())]));
}

#[test]
fn the_first_bytes_of_both_sides_count() {
    let http = Wants { http: true, ..Wants::default() };
    let steps: [(bool, &[u8]); 3] =
        [(false, b"HTTP/1"), (true, b"GET / HTTP/1.1\r\n\r\n"), (false, b".1 200 OK\r\nContent-Length: 0\r\n\r\n")];
    let rows = statuses(run(http, &steps));
    assert!(matches!(&rows[..], [(Some(status), None)] if status.contains("200")), "{rows:?}");
    // What led to the protocol, and may have looked like the beginning of another, is left out.
    let hello = hello();
    let (_, service, texts) = facts(&[(false, b"S"), (true, &hello)]);
    assert_eq!((service, texts), (Some("tls"), [None, Some("tls.example".into())]));
}

#[test]
fn a_method_of_any_name_may_have_a_target_longer_than_a_segment() {
    let line = [&b"FROB /"[..], &[b'x'; 1900], b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    for size in [250, 1460, 1908] {
        let mut steps: Vec<(bool, &[u8])> = line.chunks(size).map(|part| (true, part)).collect();
        steps.push((false, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        let rows = statuses(run(Wants { http: true, ..Wants::default() }, &steps));
        assert!(matches!(&rows[..], [(Some(_), None)]), "{size}: {rows:?}");
        assert_eq!(facts(&steps).2[0].as_deref(), Some("h"));
    }
}

#[test]
fn first_bytes_captured_out_of_order_stay_in_their_order() {
    let hello = hello();
    let segment = |from: usize, to: usize| tcp(9, true, 24, 100 + from as u32, 200, &hello[from..to]);
    let opening = [tcp(9, true, 2, 99, 0, b""), tcp(9, false, 18, 199, 100, b"")];
    let mut tracker = account(
        Wants { facts: true, ..Wants::default() },
        &[&opening[..], &[segment(1, 4), segment(4, hello.len()), segment(0, 1)]].concat(),
    );
    let slot = tracker.finished_order()[0];
    let facts = tracker.flow(slot).facts.as_ref().expect("facts");
    assert_eq!(facts.text(Text::TlsServerName), Some("tls.example"));
}

/// Server name and fault of each row of `tls`, of a connection whose ends send these pieces. Segments are captured in the order
/// of `order`, if there is one.
fn hellos(pieces: &[(bool, &[u8])], order: &[usize]) -> Vec<(Option<String>, bool)> {
    let mut frames = segments(pieces);
    let opening: Vec<_> = frames.drain(..2).collect();
    let sent = frames.clone();
    for (to, from) in order.iter().enumerate() {
        frames[to].clone_from(&sent[*from]);
    }
    let mut tracker = account(Wants { tls: true, ..Wants::default() }, &[opening, frames].concat());
    let row = |found: &Found| match found {
        Found::Tls(one) => {
            let hello = one.client.as_ref();
            (hello.and_then(|hello| hello.server_name.as_deref()).map(str::to_owned), hello.is_some())
        }
        other => panic!("{other:?}"),
    };
    tracker.streams().expect("streams").rows().iter().map(|one| row(&one.found)).collect()
}

#[test]
fn a_hello_in_a_tunnel_is_found_by_whoever_wants_only_those() {
    let hello = hello();
    let connect: (bool, &[u8]) = (true, b"CONNECT tls.example:443 HTTP/1.1\r\nHost: tls.example:443\r\n\r\n");
    let denied: (bool, &[u8]) = (false, b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno");
    let done: (bool, &[u8]) = (false, b"HTTP/1.1 200 OK\r\n\r\n");
    let found = [(Some("tls.example".to_owned()), true)];
    for cut in [1, 3, 5, 6, 20, hello.len() - 1] {
        let (first, last) = hello.split_at(cut);
        let steps = [connect, done, (true, first), (true, last)];
        assert_eq!(hellos(&steps, &[]), found, "cut at {cut}");
        assert_eq!(hellos(&[&[connect, denied], &steps[..]].concat(), &[]), found, "cut at {cut}");
        // The parts of the hello the wrong way round.
        assert_eq!(hellos(&steps, &[0, 1, 3, 2]), found, "cut at {cut}");
    }
    // The answer to CONNECT behind the hello, before CONNECT, and never captured.
    let steps = [connect, done, (true, &hello[..])];
    assert_eq!(hellos(&steps, &[0, 2, 1]), found);
    assert_eq!(hellos(&steps, &[1, 0, 2]), found);
    assert_eq!(hellos(&[connect, (true, &hello[..])], &[]), found);
    let (_, _, texts) = facts(&[connect, (true, &hello[..])]);
    assert_eq!(texts[1].as_deref(), Some("tls.example"));
}

#[test]
fn what_a_tunnel_carries_takes_nothing_from_what_asked_for_it() {
    let hello = hello();
    let (ask, rest) = b"CONNECT tls.example:443 HTTP/1.1\r\nHost: proxied\r\n\r\n".split_at(20);
    let mut frames = segments(&[(true, ask), (true, rest), (true, &hello)]);
    for order in ["in turn", "the hello amid the request"] {
        let mut tracker = account(Wants { facts: true, ..Wants::default() }, &frames);
        let slot = tracker.finished_order()[0];
        let facts = tracker.flow(slot).facts.as_ref().expect("facts");
        assert_eq!(facts.service(), Some("http"), "{order}");
        let texts = [Text::HttpHost, Text::TlsServerName].map(|which| facts.text(which));
        assert_eq!(texts, [Some("proxied"), Some("tls.example")], "{order}");
        frames.swap(3, 4);
    }
}
