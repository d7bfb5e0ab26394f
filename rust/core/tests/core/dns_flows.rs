//! DNS in flows as they are captured: the flow's first query, and rows that begin with the first byte.

use sniffkit_core::app::{Found, Text, Wants};
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::stream::Watch;
use sniffkit_core::track::{Options, Tracker};
use std::sync::Arc;

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 4000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 53);
const QUERY: u16 = 0x0100;
const ANSWER: u16 = 0x8180;

/// A raw IPv4 packet from one end to the other.
fn ip(proto: u8, (from, to): ([u8; 4], [u8; 4]), payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0];
    packet[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    [&packet[..], &from, &to, payload].concat()
}

fn ends(from_client: bool) -> (([u8; 4], u16), ([u8; 4], u16)) {
    if from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) }
}

fn udp(from_client: bool, payload: &[u8]) -> Vec<u8> {
    let (from, to) = ends(from_client);
    let head = [from.1, to.1, 8 + payload.len() as u16, 0].map(u16::to_be_bytes).concat();
    ip(17, (from.0, to.0), &[&head, payload].concat())
}

fn tcp(from_client: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let (from, to) = ends(from_client);
    let mut head = [from.1, to.1].map(u16::to_be_bytes).concat();
    head.extend([seq, ack].map(u32::to_be_bytes).concat());
    head.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    ip(6, (from.0, to.0), &[&head, payload].concat())
}

/// A message that asks `name IN A`; nothing if that is empty.
fn message(id: u16, flags: u16, name: &str) -> Vec<u8> {
    let mut body = [id, flags, u16::from(!name.is_empty()), 0, 0, 1].map(u16::to_be_bytes).concat();
    if !name.is_empty() {
        body.push(name.len() as u8);
        body.extend(name.as_bytes());
        body.extend([0, 0, 1, 0, 1]);
    }
    body.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]); // EDNS (RFC 6891, 6.1.2)
    body
}

/// Accounts frames, one a second.
fn run(wants: Wants, frames: &[Vec<u8>]) -> Tracker {
    let mut decoded = Decoded::default();
    decoded.batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::RAW, 0))]);
    let mut tracker = Tracker::new(Options { streams: wants, ..Options::default() });
    for (number, bytes) in (1..).zip(frames) {
        decoded.batch.clear();
        let (ts, frame_len) = (number as i64 * 1_000_000_000, bytes.len() as u32);
        decoded.batch.push(FrameMeta { ts, number, frame_len, ..FrameMeta::default() }, bytes);
        decoded.decode();
        tracker.batch(&decoded.batch, decoded.packets(), None);
    }
    tracker
}

/// The flow's first query, and whether it is still listened to.
fn first_query(frames: &[Vec<u8>]) -> (Option<String>, bool) {
    let facts = || Wants { facts: true, ..Wants::default() };
    let query = |tracker: &mut Tracker| {
        tracker.finish();
        let slot = tracker.finished_order()[0];
        let facts = tracker.flow(slot).facts.as_ref().expect("facts");
        assert_eq!(facts.service(), Some("dns"));
        facts.text(Text::DnsQuery).map(str::to_owned)
    };
    let mut tracker = run(facts(), frames);
    let listens = tracker.open().iter().any(|flow| flow.watch != Watch::IGNORED);
    let only = query(&mut tracker);
    let with_rows = query(&mut run(Wants { dns: true, ..facts() }, frames));
    assert_eq!(only, with_rows, "facts with rows");
    (only, listens)
}

#[test]
fn the_first_query_that_asks_is_the_flows() {
    let exchange = [udp(true, &message(2, QUERY, "example")), udp(false, &message(2, ANSWER, "example"))];
    let later = [udp(true, &message(3, QUERY, "later"))];
    for before in [udp(false, &message(1, ANSWER, "first")), udp(true, &message(1, QUERY, ""))] {
        let alone = std::slice::from_ref(&before);
        assert_eq!(first_query(alone), (None, true));
        assert_eq!(first_query(&[alone, &exchange, &later].concat()), (Some("example".into()), false));
    }
    assert_eq!(first_query(&exchange[..1]), (Some("example".into()), false));
}

#[test]
fn a_flow_without_a_query_is_not_listened_to_for_ever() {
    let answers: Vec<_> = (0..16).map(|id| udp(false, &message(id, ANSWER, "x"))).collect();
    assert_eq!(first_query(&answers[..15]), (None, true));
    assert_eq!(first_query(&answers), (None, false));
}

#[test]
fn the_first_query_of_a_connection_is_its_first_that_asks() {
    let framed = |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let both = [framed(message(1, QUERY, "")), framed(message(2, QUERY, "example"))].concat();
    let segments = [tcp(true, 2, 99, 0, b""), tcp(false, 18, 199, 100, b""), tcp(true, 24, 100, 200, &both)];
    assert_eq!(first_query(&segments), (Some("example".into()), false));
}

#[test]
fn a_row_begins_before_its_protocol_is_known() {
    let framed = |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let (asked, answered) = (framed(message(1, QUERY, "one")), framed(message(1, ANSWER, "one")));
    let after = 100 + asked.len() as u32;
    // The length alone, part of the header, the rest: too little to tell what it is in the first two.
    let mut tracker = run(
        Wants { dns: true, ..Wants::default() },
        &[
            tcp(true, 2, 99, 0, b""),
            tcp(false, 18, 199, 100, b""),
            tcp(true, 24, 100, 200, &asked[..2]),
            tcp(true, 24, 102, 200, &asked[2..10]),
            tcp(true, 24, 110, 200, &asked[10..]),
            tcp(false, 24, 200, after, &answered),
        ],
    );
    let rows = tracker.streams().expect("streams").rows();
    assert_eq!((rows.len(), rows[0].first.frame, rows[0].first.ts), (1, 3, 3_000_000_000));
    let Found::Dns(one) = &rows[0].found else { panic!("{:?}", rows[0]) };
    assert_eq!((one.asked.frame, one.answered.frame, one.fault()), (5, 6, None));
}

#[test]
fn a_number_that_is_used_again_is_another_query() {
    // One frame a second.
    let pairs = |asked: &[u64], answered: &[u64]| {
        let until = answered.iter().chain(asked).max().copied().unwrap_or(0);
        let frame = |second: u64| match (asked.contains(&second), answered.contains(&second)) {
            (true, _) => udp(true, &message(1, QUERY, "example")),
            (_, true) => udp(false, &message(1, ANSWER, "example")),
            _ => udp(true, &[0]),
        };
        let mut tracker = run(Wants { dns: true, ..Wants::default() }, &(1..=until).map(frame).collect::<Vec<_>>());
        tracker.finish();
        let found = tracker.streams().expect("streams").rows().iter().map(|row| match &row.found {
            Found::Dns(one) => {
                (one.query.as_ref().map(|_| one.asked.frame), one.response.as_ref().map(|_| one.answered.frame))
            }
            other => panic!("{other:?}"),
        });
        let mut found: Vec<_> = found.collect();
        found.sort_unstable();
        found
    };
    let (some, none) = (|query, answer| (Some(query), Some(answer)), |query| (Some(query), None));
    // Repeated, it is the first that is answered.
    assert_eq!(pairs(&[1, 2], &[3]), [some(1, 3), none(2)]);
    assert_eq!(pairs(&[1, 6], &[7]), [some(1, 7), none(6)]);
    assert_eq!(pairs(&[1], &[31]), [some(1, 31)]);
    // Later it is the other that is, and what comes then answers nothing.
    assert_eq!(pairs(&[1, 31], &[32]), [none(1), some(31, 32)]);
    assert_eq!(pairs(&[1, 31], &[32, 33]), [(None, Some(33)), none(1), some(31, 32)]);
    assert_eq!(pairs(&[1, 2, 31, 33], &[38, 39]), [none(1), none(2), some(31, 38), some(33, 39)]);
}
