//! TLS hellos and fingerprints, each stream fed whole, byte by byte and in pieces.

use super::*;
use crate::app::dns::Multicast;
use crate::app::{Row, Wants, Who};

/// A vector with a length of `width` bytes before it.
fn vector(width: usize, content: &[u8]) -> Vec<u8> {
    let len = content.len().to_be_bytes();
    [&len[len.len() - width..], content].concat()
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), vector(2, data)].concat()
}

/// The body of a ClientHello like the example of JA4's definition.
fn client_hello() -> Vec<u8> {
    let ciphers = [
        0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ];
    let name = [vec![0], vector(2, b"example.com")].concat();
    let signatures = words(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]);
    let extensions = [
        extension(0x7a7a, b""),
        extension(0, &vector(2, &name)),
        extension(23, b""),
        extension(0xff01, b"\0"),
        extension(10, &vector(2, &words(&[0x1a1a, 29, 23, 24]))),
        extension(11, &vector(1, &[0])),
        extension(35, b""),
        extension(16, &vector(2, &[vector(1, b"h2"), vector(1, b"http/1.1")].concat())),
        extension(5, b"\x01\0\0\0\0"),
        extension(13, &vector(2, &signatures)),
        extension(18, b""),
        extension(51, b"\0\0"),
        extension(45, b"\x01\x01"),
        extension(43, &vector(1, &words(&[0x4a4a, 0x0304, 0x0303]))),
        extension(27, b"\x02\0\x02"),
        extension(0x4469, b"\0\0"),
        extension(21, &[0; 5]),
    ]
    .concat();
    [
        words(&[0x0303]),
        vec![7; 32],
        vector(1, &[9; 32]),
        vector(2, &words(&ciphers)),
        vector(1, &[0]),
        vector(2, &extensions),
    ]
    .concat()
}

fn server_hello(version: u16) -> Vec<u8> {
    server_hello_of(version, [8; 32], 0x1301)
}

fn server_hello_of(version: u16, random: [u8; 32], cipher: u16) -> Vec<u8> {
    let extensions = extension(43, &words(&[version]));
    [words(&[0x0303]), random.to_vec(), vector(1, &[9; 32]), words(&[cipher]), vec![0], vector(2, &extensions)].concat()
}

/// The body of a ClientHello that offers early data.
fn early_hello() -> Vec<u8> {
    let extensions = [extension(43, &[2, 3, 4]), extension(42, b"")].concat();
    [words(&[0x0303]), vec![7; 32], vec![0], vector(2, &words(&[0x1301, 0x1302])), vec![1, 0], vector(2, &extensions)]
        .concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [vec![kind], vector(3, body)].concat()
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [vec![kind, 3, 1], vector(2, content)].concat()
}

/// What a connection shows: (side, bytes) steps, cut into pieces of `size`.
fn run(steps: &[(usize, &[u8])], size: usize) -> (Option<Handshake>, Facts) {
    let who = Who { family: 4, proto: 6, orig_p: 1, resp_p: 443, ..Who::default() };
    let (mut facts, mut rows, mut multicast) = (Facts::default(), Vec::<Row>::new(), Multicast::default());
    let mut tls = make(0);
    let mut more = true;
    for (side, bytes) in steps {
        for piece in bytes.chunks(size) {
            let wants = Wants { tls: true, facts: true, ..Wants::default() };
            let (facts, rows, multicast) = (&mut facts, &mut rows, &mut multicast);
            let mut out = Out { wants, who, facts, rows, multicast, files: None, tap: None };
            if more {
                more = tls.piece(*side, Piece::Data(piece, Place::default()), &mut out) == After::More;
            }
        }
    }
    let wants = Wants { tls: true, ..Wants::default() };
    let (facts_now, rows_now, multicast) = (&mut facts, &mut rows, &mut multicast);
    tls.finish(&mut Out { wants, who, facts: facts_now, rows: rows_now, multicast, files: None, tap: None });
    assert!(rows.len() <= 1);
    let seen = rows.pop().and_then(|row| match row.found {
        Found::Tls(seen) => Some(*seen),
        _ => None,
    });
    (seen, facts)
}

fn same(steps: &[(usize, &[u8])]) -> (Option<Handshake>, Facts) {
    let whole = run(steps, usize::MAX);
    for size in [1, 2, 5, 100] {
        assert_eq!(run(steps, size), whole, "in pieces of {size}");
    }
    whole
}

#[test]
fn hellos_over_split_records() {
    let message = handshake(1, &client_hello());
    let (first, second) = message.split_at(100);
    let client = [record(HANDSHAKE, first), record(HANDSHAKE, second)].concat();
    let server = [record(HANDSHAKE, &handshake(2, &server_hello(0x0304))), record(APPLICATION_DATA, &[1; 50])].concat();
    let (seen, facts) = same(&[(0, &client), (1, &server), (0, &record(APPLICATION_DATA, &[1; 50]))]);
    let seen = seen.unwrap();
    assert_eq!(facts.tls_server_name.as_deref(), Some("example.com"));
    assert_eq!(seen.client.as_ref().unwrap().alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!((seen.server.as_ref().unwrap().version, seen.server.as_ref().unwrap().cipher), (0x0304, 0x1301));
    assert_eq!((seen.established, seen.fault), (true, None));
}

#[test]
fn fingerprints() {
    let hello = ClientHello::parse(&client_hello()).unwrap();
    assert_eq!(
        fingerprint::ja3_text(&hello),
        "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,\
         0-23-65281-10-11-35-16-5-13-18-51-45-43-27-17513-21,29-23-24,0"
    );
    // The example of JA4's definition has the same lists.
    assert_eq!(fingerprint::ja4(&hello, false), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    assert!(fingerprint::ja4(&hello, true).starts_with("q13d"));
    let bare = ClientHello { version: 0x0301, ..ClientHello::default() };
    assert_eq!(fingerprint::ja4(&bare, false), "t10i000000_000000000000_000000000000");
}

#[test]
fn lengths_that_lie() {
    let long = [vec![HANDSHAKE, 3, 1, 0xff, 0xff, 1], vec![0; 100]].concat();
    assert_eq!(same(&[(0, &long)]).0.unwrap().fault, Some("record longer than its limit"));
    let huge = record(HANDSHAKE, &[1, 0xff, 0, 0, 0]);
    assert_eq!(same(&[(0, &huge)]).0.unwrap().fault, Some("handshake message longer than 131072 bytes"));
    let mut short = client_hello();
    short[100] = 0xff; // a length inside
    short.truncate(120);
    let fault = same(&[(0, &record(HANDSHAKE, &handshake(1, &short)))]).0.unwrap().fault;
    assert_eq!(fault, Some("ClientHello whose lengths do not fit"));
}

#[test]
fn every_prefix_of_a_hello_is_refused_or_read() {
    let body = client_hello();
    for end in 0..body.len() {
        let _ = ClientHello::parse(&body[..end]);
        let _ = ServerHello::parse(&body[..end]);
    }
}

#[test]
fn a_refused_handshake_is_not_established() {
    let client = record(HANDSHAKE, &handshake(1, &client_hello()));
    let (seen, _) = same(&[(0, &client), (1, &record(ALERT, &[2, 40]))]);
    let seen = seen.unwrap();
    assert_eq!((seen.established, seen.fault), (false, Some("fatal alert")));
}

#[test]
fn names() {
    assert_eq!(cipher_name(0x1301), Some("TLS_AES_128_GCM_SHA256"));
    assert_eq!(cipher_name(0x3a3a), None);
    assert_eq!(version_name(0x0303), Some("TLSv1.2"));
}

/// The frames in which the hellos were complete: (side, frame, bytes) in stream order.
fn frames(pieces: &[(usize, u64, &[u8])]) -> (Place, Place) {
    let (mut facts, mut rows, mut multicast) = (Facts::default(), Vec::<Row>::new(), Multicast::default());
    let wants = Wants { tls: true, ..Wants::default() };
    let (facts, rows, multicast) = (&mut facts, &mut rows, &mut multicast);
    let mut out = Out { wants, who: Who::default(), facts, rows, multicast, files: None, tap: None };
    let mut tls = Tls::default();
    for (side, frame, bytes) in pieces {
        let place = Place { ts: *frame as i64 * 1000, frame: *frame, timed: true };
        assert_eq!(tls.piece(*side, Piece::Data(bytes, place), &mut out), After::More);
    }
    (tls.seen.client_place, tls.seen.server_place)
}

#[test]
fn a_hello_is_complete_in_the_latest_of_its_frames() {
    let client = record(HANDSHAKE, &handshake(1, &client_hello()));
    let server = record(HANDSHAKE, &handshake(2, &server_hello(0x0304)));
    let place = |frame: u64| Place { ts: frame as i64 * 1000, frame, timed: true };
    // Even where all that came late is the header of the record.
    for cut in [1, 5, 30] {
        let pieces: [(usize, u64, &[u8]); 4] =
            [(0, 5, &client[..cut]), (0, 4, &client[cut..]), (1, 9, &server[..cut]), (1, 8, &server[cut..])];
        assert_eq!(frames(&pieces), (place(5), place(9)), "cut at {cut}");
    }
    let in_order: [(usize, u64, &[u8]); 3] = [(0, 4, &client[..30]), (0, 5, &client[30..]), (1, 6, &server)];
    assert_eq!(frames(&in_order), (place(5), place(6)));
}

#[test]
fn a_first_record_shorter_than_the_header_of_its_message() {
    let ports = (50_000, 443);
    for (kind, body, expected) in
        [(1, client_hello(), Looks::Client), (2, server_hello(0x0304), Looks::Server), (11, vec![0; 40], Looks::No)]
    {
        let message = handshake(kind, &body);
        for cut in 1..=3 {
            let (first, second) = message.split_at(cut);
            let bytes = [record(HANDSHAKE, first), record(HANDSHAKE, second)].concat();
            assert_eq!(looks(&bytes, ports), expected, "{kind} cut at {cut}");
            let enough = if expected == Looks::No { 6 } else { 5 + cut + 5 };
            for len in 0..bytes.len() {
                let so_far = if len < enough { Looks::Perhaps } else { expected };
                assert_eq!(looks(&bytes[..len], ports), so_far, "{len} bytes of {kind} cut at {cut}");
            }
            assert!(glance(&bytes).is_none(), "left to the parser");
        }
    }
    let hello = handshake(1, &client_hello());
    for cut in 1..=3 {
        let (first, second) = hello.split_at(cut);
        let client = [record(HANDSHAKE, first), record(HANDSHAKE, second)].concat();
        let (seen, facts) = same(&[(0, &client)]);
        assert_eq!(seen.and_then(|seen| seen.client), ClientHello::parse(&client_hello()));
        assert_eq!((facts.service, facts.tls_server_name.as_deref()), (Some("tls"), Some("example.com")));
        // Byte by byte, and with another record in between or behind.
        let bytewise: Vec<u8> = hello[..4].iter().flat_map(|byte| record(HANDSHAKE, &[*byte])).collect();
        assert_eq!(looks(&bytewise, ports), Looks::Client);
        for other in [record(ALERT, &[2, 40]), record(APPLICATION_DATA, &[1; 9]), record(HANDSHAKE, b""), vec![0; 9]] {
            assert_eq!(looks(&[record(HANDSHAKE, first), other].concat(), ports), Looks::No);
        }
    }
    let long = [record(HANDSHAKE, &[1, 2]), record(HANDSHAKE, &[0, 0])].concat();
    assert_eq!(looks(&long, ports), Looks::No, "a message of 2^17 bytes or more");
    assert_eq!(looks(&record(HANDSHAKE, b""), ports), Looks::Perhaps);
    assert_eq!(looks(&[record(HANDSHAKE, b""), vec![HANDSHAKE]].concat(), ports), Looks::No);
}

/// The random of a HelloRetryRequest, SHA-256 of its name (RFC 8446, 4.1.3).
fn retry_random() -> [u8; 32] {
    <sha2::Sha256 as md5::Digest>::digest(b"HelloRetryRequest").into()
}

#[test]
fn early_data_before_a_retry_does_not_end_the_handshake() {
    let hello = record(HANDSHAKE, &handshake(1, &early_hello()));
    let (changed, data) = (record(CHANGE_CIPHER_SPEC, &[1]), record(APPLICATION_DATA, &[1; 50]));
    let early = [&hello[..], &changed, &data, &data].concat();
    let retry = record(HANDSHAKE, &handshake(2, &server_hello_of(0x0304, retry_random(), 0x1302)));
    let retry = [&retry[..], &changed].concat();
    let server = [&record(HANDSHAKE, &handshake(2, &server_hello(0x0304)))[..], &data].concat();
    let (seen, _) = same(&[(0, &early), (1, &retry), (0, &hello), (1, &server), (0, &data), (1, &data)]);
    let seen = seen.unwrap();
    assert_eq!(seen.server.as_ref().map(|hello| (hello.is_retry, hello.cipher)), Some((false, 0x1301)));
    assert_eq!((seen.established, seen.fault), (true, None));
    let (seen, _) = same(&[(0, &early), (1, &retry), (0, &hello)]);
    assert!(!seen.unwrap().established, "the server has only asked for another hello");
}

#[test]
fn an_alert_behind_a_retry_ends_the_handshake() {
    let hello = record(HANDSHAKE, &handshake(1, &client_hello()));
    let retry = record(HANDSHAKE, &handshake(2, &server_hello_of(0x0304, retry_random(), 0x1302)));
    let retry = [retry, record(CHANGE_CIPHER_SPEC, &[1])].concat();
    let (seen, _) = same(&[(0, &hello), (1, &retry), (0, &hello), (1, &record(ALERT, &[2, 40]))]);
    assert_eq!(seen.unwrap().fault, Some("fatal alert"));
}

#[test]
fn early_data_alone_does_not_establish() {
    let hello = record(HANDSHAKE, &handshake(1, &early_hello()));
    let (changed, data) = (record(CHANGE_CIPHER_SPEC, &[1]), record(APPLICATION_DATA, &[1; 50]));
    let early = [&hello[..], &changed, &data].concat();
    let server = [&record(HANDSHAKE, &handshake(2, &server_hello(0x0304)))[..], &changed, &data, &data].concat();
    let (seen, _) = same(&[(0, &early), (1, &server)]);
    let seen = seen.unwrap();
    assert_eq!((seen.server.is_some(), seen.established, seen.fault), (true, false, None));
    let (seen, _) = same(&[(0, &early), (1, &server), (0, &data)]);
    assert!(seen.unwrap().established);
    // Without early data on offer, the client's data proves it even if it was captured before the ServerHello.
    let plain = [record(HANDSHAKE, &handshake(1, &client_hello())), data.clone()].concat();
    assert!(same(&[(0, &plain), (1, &server)]).0.unwrap().established);
}

/// What a connection shows of which some is missing: (side, bytes, so many missing behind them).
fn with_holes(steps: &[(usize, &[u8], u64)]) -> Handshake {
    let (mut facts, mut rows, mut multicast) = (Facts::default(), Vec::<Row>::new(), Multicast::default());
    let wants = Wants { tls: true, ..Wants::default() };
    let (facts, rows_now, multicast) = (&mut facts, &mut rows, &mut multicast);
    let mut out = Out { wants, who: Who::default(), facts, rows: rows_now, multicast, files: None, tap: None };
    let mut tls = make(0);
    let place = Place::default();
    for (side, bytes, missing) in steps {
        let pieces = [Piece::Data(bytes, place), Piece::Gap(*missing, place)];
        let pieces = &pieces[..1 + usize::from(*missing > 0)];
        if pieces.iter().any(|piece| tls.piece(*side, *piece, &mut out) != After::More) {
            break;
        }
    }
    tls.finish(&mut out);
    match rows.pop().expect("a row").found {
        Found::Tls(seen) => *seen,
        found => panic!("{found:?}"),
    }
}

#[test]
fn a_hole_in_one_hello_does_not_hide_the_other() {
    let client = record(HANDSHAKE, &handshake(1, &client_hello()));
    let data = record(APPLICATION_DATA, &[1; 50]);
    let server = [&record(HANDSHAKE, &handshake(2, &server_hello(0x0304)))[..], &data].concat();
    let left = client.len() as u64 - 100;
    let hello = |seen: &Handshake| seen.server.as_ref().map(|hello| (hello.version, hello.cipher));
    // Up to the end of the record, where the next one begins; and beyond.
    for (missing, established) in [(left, true), (left - 9, true), (left + 9, false)] {
        let rest = &client[client.len() - left.saturating_sub(missing) as usize..];
        let seen = with_holes(&[(0, &client[..100], missing), (0, rest, 0), (1, &server, 0), (0, &data, 0)]);
        assert_eq!((seen.client.is_some(), hello(&seen)), (false, Some((0x0304, 0x1301))));
        assert_eq!((seen.established, seen.fault), (established, Some("bytes are missing")));
    }
    let seen = with_holes(&[(1, &server[..60], 7), (1, &server[67..], 0), (0, &client, 0), (0, &data, 0)]);
    assert_eq!((seen.client.is_some(), hello(&seen), seen.fault), (true, None, Some("bytes are missing")));
}

#[test]
fn what_follows_a_changed_cipher_is_no_message() {
    let changed = record(CHANGE_CIPHER_SPEC, &[1]);
    let finished = |nonce: &[u8]| record(HANDSHAKE, &[nonce, &[7; 36]].concat());
    let server = record(HANDSHAKE, &handshake(2, &server_hello(0x0303)));
    // As long a message as none is, one of no bytes, and the beginnings of hellos.
    for nonce in [[0x9f, 0x83, 0x71, 0x22], [0; 4], [1, 0, 0, 9], [2, 0, 2, 0]] {
        let client = [record(HANDSHAKE, &handshake(16, b"key")), changed.clone(), finished(&nonce)].concat();
        let (seen, _) = same(&[(1, &server), (0, &client), (1, &[changed.clone(), finished(&nonce)].concat())]);
        let seen = seen.unwrap();
        assert_eq!((seen.client.is_some(), seen.established, seen.fault), (false, true, None), "{nonce:?}");
    }
    // But for the second ClientHello behind a retry, of which the first was not captured.
    let again = [&changed[..], &record(HANDSHAKE, &handshake(1, &client_hello()))].concat();
    let retry = record(HANDSHAKE, &handshake(2, &server_hello_of(0x0304, retry_random(), 0x1302)));
    let server = record(HANDSHAKE, &handshake(2, &server_hello(0x0304)));
    let data = record(APPLICATION_DATA, &[1; 50]);
    let behind = [&changed[..], &server, &data].concat();
    for steps in
        [&[(1, &retry[..]), (0, &again), (1, &behind), (0, &data)][..], &[(0, &again), (1, &behind), (0, &data)]]
    {
        let seen = same(steps).0.unwrap();
        assert_eq!(seen.server.as_ref().map(|hello| (hello.is_retry, hello.version)), Some((false, 0x0304)));
        assert_eq!((seen.client.is_some(), seen.established, seen.fault), (true, true, None));
    }
}
