//! What a flow's facts are at a glance, without a stream and a parser, is what the parser makes of the same bytes.

use proptest::prelude::*;
use sniffkit_core::app::dns::Multicast;
use sniffkit_core::app::{Facts, Looks, OVER_TCP, Out, OverTcp, Wants, Who};
use sniffkit_core::stream::{Piece, Place};

const PORTS: (u16, u16) = (40_000, 80);

const REQUESTS: [&[u8]; 11] = [
    b"GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n",
    b"GET / HTTP/1.1\nhost:example.org\nHost: second.example\n\n",
    b"POST /p HTTP/1.1\r\nContent-Length: 3\r\nHost: a\r\n b\r\n\tc\r\n\r\nabcGET / HTTP/1.1\r\n\r\n",
    b"GET http://absolute.example/ HTTP/1.0\r\n\r\n",
    b"CONNECT x.example:443 HTTP/1.1\r\nHost: \r\n\r\n",
    b"GET /chat HTTP/1.1\r\nHost: w.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h2.example\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    b"GET / nonsense\r\nHost: example.org\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nHost: example.org\r\n\r\n",
    b"\r\n\r\n\nGET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    b"GET / HTTP/1.1\r\n \r\n Host: no.example\r\nHost: example.org\r\n\r\n",
];

/// A ClientHello in one record: two cipher suites, a server name, supported versions.
fn hello(name: &[u8]) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let names = sized(&[&[0][..], &sized(name)].concat());
    let extensions = [&[0, 0][..], &sized(&names), &[0, 43], &sized(&[2, 3, 4])].concat();
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0]);
    body.extend_from_slice(&sized(&extensions));
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

fn wanted() -> impl Iterator<Item = &'static OverTcp> {
    OVER_TCP.iter().filter(|one| (one.wanted)(&Wants { facts: true, ..Wants::default() }))
}

/// The facts at a glance, of the first protocol whose client begins so.
fn at_a_glance(bytes: &[u8]) -> Option<(&'static OverTcp, Facts)> {
    let protocol = wanted().find(|one| (one.looks)(bytes, PORTS) == Looks::Client)?;
    (protocol.glance)(bytes).map(|facts| (protocol, facts))
}

fn parsed(protocol: &OverTcp, bytes: &[u8]) -> Facts {
    let (mut facts, mut rows) = (Facts::default(), Vec::new());
    let wants = Wants { facts: true, ..Wants::default() };
    let (facts_now, rows, multicast) = (&mut facts, &mut rows, &mut Multicast::default());
    let mut out = Out { wants, who: Who::default(), facts: facts_now, rows, multicast, files: None, tap: None };
    (protocol.make)(0).piece(0, Piece::Data(bytes, Place::default()), &mut out);
    facts
}

#[test]
fn requests_and_hellos_are_known_at_a_glance() {
    let host = |bytes| at_a_glance(bytes).and_then(|(_, facts)| facts.http_host);
    assert_eq!(host(REQUESTS[0]).as_deref(), Some("example.org"));
    assert_eq!(host(REQUESTS[1]).as_deref(), Some("example.org"));
    assert_eq!(host(REQUESTS[2]).as_deref(), Some("a b c"));
    assert_eq!(at_a_glance(REQUESTS[3]).map(|(_, facts)| (facts.service, facts.http_host)), Some((Some("http"), None)));
    assert_eq!(host(REQUESTS[7]), None);
    assert_eq!(host(REQUESTS[10]).as_deref(), Some("example.org"));
    assert_eq!(host(REQUESTS[9]).as_deref(), Some("example.org"));
    let hello = hello(b"example.org");
    let (_, facts) = at_a_glance(&hello).expect("a whole hello");
    assert_eq!(facts.tls_server_name.as_deref(), Some("example.org"));
    assert!(facts.ja4.is_some_and(|ja4| ja4.starts_with("t13d0202")));
}

#[test]
fn half_a_message_is_left_to_the_parser() {
    let hello = hello(b"example.org");
    for whole in [REQUESTS[0], &hello] {
        for len in 0..whole.len() {
            assert!(at_a_glance(&whole[..len]).is_none(), "{len} bytes");
        }
    }
}

proptest! {
    #[test]
    fn a_glance_and_the_parser_agree(
        which in 0..REQUESTS.len() + 1,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        more in prop::collection::vec(any::<u8>(), 0..40),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = REQUESTS.get(which).map_or_else(|| hello(b"some.example"), |request| request.to_vec());
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.extend_from_slice(&more);
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Some((protocol, facts)) = at_a_glance(&bytes) {
            prop_assert_eq!(facts, parsed(protocol, &bytes));
        }
    }
}
