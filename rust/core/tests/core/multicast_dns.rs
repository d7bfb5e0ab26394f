//! mDNS and LLMNR: which answer is given to which query, within bounds, however the frames are cut and interleaved.

use proptest::prelude::*;
use sniffkit_core::app::dns::Exchange;
use sniffkit_core::app::dns::multicast::{MAX_QUERIES, MAX_QUESTIONS, PATIENCE};
use sniffkit_core::app::{Found, Wants};
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::track::{Options, Tracker};
use std::sync::Arc;

const MS: i64 = 1_000_000;
const MDNS: [u8; 4] = [224, 0, 0, 251];
const LLMNR: [u8; 4] = [224, 0, 0, 252];
const A: u16 = 1;
const AAAA: u16 = 28;

/// A frame and its time, ns.
type Timed = (i64, Vec<u8>);

/// A UDP datagram in a VLAN; 0 is none.
fn udp(vlan: u16, from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    if vlan > 0 {
        frame.extend([0x81, 0]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((28 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 1, 0, 0, 255, 17, 0, 0]);
    frame.extend([from.0, to.0].concat());
    frame.extend([from.1, to.1, 8 + payload.len() as u16, 0].iter().flat_map(|word| word.to_be_bytes()));
    frame.extend(payload);
    frame
}

/// A message with these questions and answers: name and type.
fn message(id: u16, response: bool, questions: &[(&str, u16)], answers: &[(&str, u16)]) -> Vec<u8> {
    let flags = if response { 0x8400 } else { 0 };
    let counts = [id, flags, questions.len() as u16, answers.len() as u16, 0, 0];
    let mut out: Vec<u8> = counts.iter().flat_map(|word| word.to_be_bytes()).collect();
    let fixed = |out: &mut Vec<u8>, (name, kind): (&str, u16)| {
        out.push(name.len() as u8);
        out.extend(name.as_bytes());
        out.push(0);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
    };
    questions.iter().for_each(|question| fixed(&mut out, *question));
    for answer in answers {
        fixed(&mut out, *answer);
        out.extend([0, 0, 0, 120, 0, 4, 10, 0, 0, 9]);
    }
    out
}

/// The exchanges of frames that come in batches of these sizes, again and again; in the order of the table.
fn exchanges(frames: &[Timed], sizes: &[usize]) -> Vec<Exchange> {
    let streams = Wants { dns: true, ..Wants::default() };
    let mut tracker = Tracker::new(Options { streams, ..Options::default() });
    let mut decoded = Decoded::default();
    decoded.batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
    let (mut rest, mut number) = (frames, 0);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (batch, others) = rest.split_at((*size).clamp(1, rest.len()));
        rest = others;
        decoded.batch.clear();
        for (ts, bytes) in batch {
            number += 1;
            let len = bytes.len() as u32;
            let meta = FrameMeta { ts: *ts, number, frame_len: len, ..FrameMeta::default() };
            decoded.batch.push(meta, bytes);
        }
        decoded.decode();
        tracker.batch(&decoded.batch, decoded.packets(), None);
    }
    tracker.finish();
    let streams = tracker.streams().unwrap();
    assert_eq!(streams.oldest_open(), None);
    let mut rows = std::mem::take(streams.rows());
    rows.sort_by_key(|row| row.first.frame);
    let exchange = |found| match found {
        Found::Dns(exchange) => *exchange,
        other => panic!("{other:?}"),
    };
    rows.into_iter().map(|row| exchange(row.found)).collect()
}

/// Frames of query and answer, from 1; 0 where there is none.
fn pairs(frames: &[Timed]) -> Vec<(u64, u64)> {
    let frame = |message: bool, frame| if message { frame } else { 0 };
    let pair = |one: &Exchange| {
        (frame(one.query.is_some(), one.asked.frame), frame(one.response.is_some(), one.answered.frame))
    };
    exchanges(frames, &[7]).iter().map(pair).collect()
}

const ASKER: [u8; 4] = [10, 0, 0, 1];
const OTHER: [u8; 4] = [10, 0, 0, 2];

fn mdns_query(at: i64, name: &str) -> Timed {
    (at, udp(0, (ASKER, 5353), (MDNS, 5353), &message(0, false, &[(name, A)], &[])))
}

fn mdns_answer(at: i64, name: &str) -> Timed {
    (at, udp(0, (OTHER, 5353), (MDNS, 5353), &message(0, true, &[], &[(name, A)])))
}

#[test]
fn an_answer_counts_until_the_querier_has_asked_thrice() {
    for (wait, expected) in [(PATIENCE, vec![(1, 2)]), (PATIENCE + 1, vec![(1, 0), (0, 2)])] {
        assert_eq!(pairs(&[mdns_query(0, "a"), mdns_answer(wait, "A")]), expected);
    }
    // A capture of several points may have the answer a little before the query, in time and not in order.
    assert_eq!(pairs(&[mdns_query(5 * MS, "a"), mdns_answer(0, "a")]), [(1, 2)]);
}

#[test]
fn a_response_must_come_from_the_port_of_mdns_or_from_who_was_asked() {
    let answer = message(0, true, &[], &[("a", A)]);
    let from = |end| (MS, udp(0, end, (MDNS, 5353), &answer));
    assert_eq!(pairs(&[mdns_query(0, "a"), from((OTHER, 999))]), [(1, 0), (0, 2)]);
    let direct = (0, udp(0, (ASKER, 5353), (OTHER, 5353), &message(0, false, &[("a", A)], &[])));
    assert_eq!(pairs(&[direct.clone(), from((OTHER, 5353))]), [(1, 2)]);
    assert_eq!(pairs(&[direct, from(([10, 0, 0, 3], 5353))]), [(1, 0), (0, 2)]);
}

#[test]
fn llmnr_goes_by_number_port_and_question() {
    let asked = (0, udp(0, (ASKER, 999), (LLMNR, 5355), &message(7, false, &[("a", A)], &[])));
    let told = |port, id, question| (MS, udp(0, (OTHER, 5355), (ASKER, port), &message(id, true, &[question], &[])));
    assert_eq!(pairs(&[asked.clone(), told(999, 7, ("A", A))]), [(1, 2)]);
    for other in [told(998, 7, ("a", A)), told(999, 8, ("a", A)), told(999, 7, ("a", AAAA)), told(999, 7, ("b", A))] {
        assert_eq!(pairs(&[asked.clone(), other]), [(1, 0), (0, 2)]);
    }
}

#[test]
fn messages_without_a_question_wait_for_nothing() {
    let rest = (0, udp(0, (ASKER, 5353), (MDNS, 5353), &message(0, false, &[], &[("a", A)])));
    assert_eq!(pairs(&[rest, mdns_answer(MS, "a")]), [(1, 0), (0, 2)]);
}

#[test]
fn what_waits_has_a_bound() {
    let many = 2 * MAX_QUERIES as i64;
    let mut frames: Vec<Timed> = (0..many).map(|at| mdns_query(at, &format!("{at}"))).collect();
    frames.push(mdns_answer(many, "0"));
    frames.push(mdns_answer(many, &format!("{}", many - 1)));
    let rows = pairs(&frames);
    assert_eq!(rows.len() as i64, many + 1);
    assert_eq!((rows[0], rows[many as usize - 1]), ((1, 0), (many as u64, many as u64 + 2)));

    // By the number of questions as well: the last ones fit, the first one does not.
    let long: Vec<(&str, u16)> = vec![("long", AAAA); 1000];
    let asked = |at, first| {
        let questions = [&[(first, A)], &long[..]].concat();
        (at, udp(0, (ASKER, 5353), (MDNS, 5353), &message(0, false, &questions, &[])))
    };
    let count = MAX_QUESTIONS as i64 / 1000 + 1;
    let mut frames: Vec<Timed> = (0..count).map(|at| asked(at, if at == 0 { "first" } else { "later" })).collect();
    frames.extend([mdns_answer(count, "first"), mdns_answer(count, "later")]);
    let rows = pairs(&frames);
    assert_eq!(rows.iter().filter(|(_, told)| *told as i64 == count + 2).count() as i64, count - 1);
    assert!(rows.contains(&(0, count as u64 + 1)));
}

#[test]
fn a_long_response_is_not_copied_without_end() {
    let mut frames: Vec<Timed> = (0..1000).map(|at| mdns_query(at, "a")).collect();
    let records = vec![("a", A); 2000];
    frames.push((1000, udp(0, (OTHER, 5353), (MDNS, 5353), &message(0, true, &[], &records))));
    let rows = exchanges(&frames, &[100]);
    assert_eq!(rows.iter().filter(|one| one.response.is_some()).count(), 2);
    frames.push(mdns_answer(1001, "a"));
    assert_eq!(exchanges(&frames, &[100]).iter().filter(|one| one.response.is_some()).count(), 1000);
}

/// A few stations of one link that ask for a few names and answer, in order of time.
fn chatter(vlan: u16) -> impl Strategy<Value = Vec<Timed>> {
    let one = (0..2500i64, 0..2u8, any::<bool>(), 0..3u8, 0..3u8, 0..3usize, 0..3u16);
    prop::collection::vec(one, 1..12).prop_map(move |steps| {
        let mut now = 0;
        let frame = |(wait, kind, is_answer, from, to, name, id): (i64, u8, bool, u8, u8, usize, u16)| {
            now += wait * MS;
            let name = (["a", "b", "B"][name], if id == 2 { AAAA } else { A });
            let station = |last| [10, 0, 0, last];
            let (port, group) = if kind == 0 { (5353, MDNS) } else { (5355, LLMNR) };
            let own = if kind == 0 && id < 2 { port } else { 1000 + u16::from(from) };
            let theirs = if kind == 0 && id < 2 { port } else { 1000 + u16::from(to) };
            let bytes = match (is_answer, kind, to) {
                (false, ..) => udp(vlan, (station(from), own), (group, port), &message(id, false, &[name], &[])),
                (true, 0, 0) => udp(vlan, (station(from), port), (group, port), &message(0, true, &[], &[name])),
                (true, ..) => {
                    udp(vlan, (station(from), port), (station(to), theirs), &message(id, true, &[name], &[name]))
                }
            };
            (now, bytes)
        };
        steps.into_iter().map(frame).collect()
    })
}

/// What a row says, whatever the numbers of its frames.
fn times(rows: &[Exchange]) -> Vec<(i64, Option<i64>, Option<u16>)> {
    let time = |one: &Exchange| {
        let told = one.response.as_ref().map(|_| one.answered.ts);
        (one.asked.ts, told, one.query.as_ref().map(|query| query.id))
    };
    let mut all: Vec<_> = rows.iter().map(time).collect();
    all.sort_unstable();
    all
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_rows(
        frames in chatter(0),
        sizes in prop::collection::vec(1..9usize, 1..5),
    ) {
        let rows = exchanges(&frames, &sizes);
        prop_assert_eq!(&rows, &exchanges(&frames, &[frames.len()]));
        // Every message is there: a query once, a response at least once, alone or in rows of queries.
        let mut asked: Vec<u64> = rows.iter().filter(|one| one.query.is_some()).map(|one| one.asked.frame).collect();
        let mut told: Vec<u64> = rows.iter().filter(|one| one.response.is_some()).map(|one| one.answered.frame).collect();
        let queries = asked.len();
        asked.dedup();
        prop_assert_eq!(queries, asked.len());
        told.sort_unstable();
        told.dedup();
        let mut all = [asked, told].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (1..=frames.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn what_goes_on_elsewhere_changes_nothing(one in chatter(1), other in chatter(2), plain in chatter(0)) {
        let alone = [&one, &other, &plain].map(|frames| exchanges(frames, &[frames.len()])).concat();
        let mut together = [one, other, plain].concat();
        together.sort_by_key(|(ts, _)| *ts);
        prop_assert_eq!(times(&exchanges(&together, &[3])), times(&alone));
    }
}
