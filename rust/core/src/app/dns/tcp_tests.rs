//! DNS over TCP: where messages are, and what becomes of both directions when bytes are missing.

use super::{Exchange, looks_tcp, make_tcp};
use crate::app::{After, Analyzer, Facts, Found, Looks, Out, Row, Wants, Who};
use crate::stream::{Piece, Place};

const CLIENT: usize = 0;
const SERVER: usize = 1;
const SECOND: i64 = 1_000_000_000;

/// A message that asks `name IN A`, behind its length.
fn message(id: u16, flags: u16, name: &str) -> Vec<u8> {
    let mut body = [id, flags, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
    body.push(name.len() as u8);
    body.extend(name.as_bytes());
    body.extend([0, 0, 1, 0, 1]);
    [&(body.len() as u16).to_be_bytes()[..], &body].concat()
}

fn query(id: u16) -> Vec<u8> {
    message(id, 0x0100, &format!("n{id}"))
}

fn answer(id: u16) -> Vec<u8> {
    message(id, 0x8180, &format!("n{id}"))
}

struct Run {
    parser: Box<dyn Analyzer>,
    rows: Vec<Row>,
}

impl Run {
    fn new() -> Self {
        Self { parser: make_tcp(CLIENT), rows: Vec::new() }
    }

    fn with<T>(&mut self, what: impl FnOnce(&mut dyn Analyzer, &mut Out<'_>) -> T) -> T {
        let wants = Wants { dns: true, ..Wants::default() };
        let who = Who { orig_p: 4000, resp_p: 53, ..Who::default() };
        let (mut facts, mut multicast) = (Facts::default(), Default::default());
        let (facts, rows, multicast) = (&mut facts, &mut self.rows, &mut multicast);
        what(&mut *self.parser, &mut Out { wants, who, facts, rows, multicast, files: None, tap: None })
    }

    /// Bytes of this frame, which came in the second of its number.
    fn data(&mut self, side: usize, frame: u64, bytes: &[u8]) {
        let place = Place { ts: frame as i64 * SECOND, frame, timed: true };
        assert_eq!(self.with(|parser, out| parser.piece(side, Piece::Data(bytes, place), out)), After::More);
    }

    fn gap(&mut self, side: usize, frame: u64, len: usize) {
        let place = Place { ts: frame as i64 * SECOND, frame, timed: true };
        assert_eq!(self.with(|parser, out| parser.piece(side, Piece::Gap(len as u64, place), out)), After::More);
    }

    /// All rows in order of their first frame.
    fn finish(mut self) -> Vec<Exchange> {
        self.with(|parser, out| parser.finish(out));
        self.rows.sort_by_key(|row| row.first.frame);
        let exchange = |row: Row| match row.found {
            Found::Dns(exchange) => *exchange,
            other => panic!("{other:?}"),
        };
        self.rows.into_iter().map(exchange).collect()
    }

    /// Number and reason of each row.
    fn faults(self) -> Vec<(u16, Option<&'static str>)> {
        self.finish().iter().map(|one| (one.asking().unwrap().id, one.fault())).collect()
    }
}

fn frames(one: &Exchange) -> (u64, u64, u64) {
    (one.first.frame, one.asked.frame, one.answered.frame)
}

#[test]
fn a_message_is_whole_with_its_latest_frame() {
    // The end came in frame 4, before the beginning in frame 5; the second query was in frame 4 as a whole.
    let mut run = Run::new();
    let (one, two) = (query(1), query(2));
    run.data(CLIENT, 5, &one[..10]);
    run.data(CLIENT, 4, &[&one[10..], &two].concat());
    let (one, two) = (answer(1), answer(2));
    run.data(SERVER, 8, &[&one[..], &two[..5]].concat());
    run.data(SERVER, 7, &two[5..]);
    let rows = run.finish();
    assert_eq!(frames(&rows[0]), (4, 4, 8));
    assert_eq!(frames(&rows[1]), (5, 5, 8));
    assert_eq!(rows[1].answered.ts - rows[1].asked.ts, 3 * SECOND);
}

#[test]
fn a_row_begins_with_the_first_byte() {
    let mut run = Run::new();
    let whole = query(1);
    run.data(CLIENT, 4, &whole[..1]);
    assert_eq!(run.parser.oldest_open(), Some(4));
    run.data(CLIENT, 5, &whole[1..20]);
    run.data(CLIENT, 6, &whole[20..]);
    assert_eq!(run.parser.oldest_open(), Some(4));
    run.data(SERVER, 7, &answer(1));
    assert_eq!(run.parser.oldest_open(), None);
    assert_eq!(run.rows[0].first, Place { ts: 4 * SECOND, frame: 4, timed: true });
    assert_eq!(frames(&run.finish()[0]), (4, 6, 7));
    // An answer alone too.
    let mut run = Run::new();
    run.data(SERVER, 3, &answer(9)[..15]);
    run.data(SERVER, 4, &answer(9)[15..]);
    let rows = run.finish();
    assert_eq!((rows[0].first.frame, rows[0].answered.frame, rows[0].fault()), (3, 4, Some("no query")));
}

#[test]
fn both_directions_go_on_behind_a_lost_answer() {
    let mut run = Run::new();
    run.data(CLIENT, 1, &query(1));
    run.data(SERVER, 2, &answer(1));
    run.data(CLIENT, 3, &query(2)); // its answer is lost
    run.data(CLIENT, 4, &query(3));
    run.gap(SERVER, 5, answer(2).len());
    run.data(SERVER, 5, &answer(3));
    run.data(CLIENT, 6, &query(4)); // nobody answers
    run.data(CLIENT, 7, &query(5));
    run.data(SERVER, 8, &answer(5));
    let faults = run.faults();
    let missing = Some("bytes are missing");
    assert_eq!(faults, [(1, None), (2, missing), (3, None), (4, Some("no response")), (5, None)]);
}

#[test]
fn behind_a_lost_query_the_answers_go_on() {
    let mut run = Run::new();
    run.data(CLIENT, 1, &query(1));
    run.gap(CLIENT, 3, query(2).len());
    run.data(CLIENT, 3, &query(3));
    for (frame, id) in [(4, 1), (5, 2), (6, 3)] {
        run.data(SERVER, frame, &answer(id));
    }
    assert_eq!(run.faults(), [(1, None), (3, None), (2, Some("no query"))]);
}

#[test]
fn what_is_asked_while_nothing_is_understood_may_have_been_answered() {
    let mut run = Run::new();
    run.data(CLIENT, 1, &query(1));
    run.gap(SERVER, 2, 100);
    // The middle of a message: of another direction, with many questions, with a name that is none.
    let no_name = [&[0, 40, 0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0xff; 26]].concat();
    for (frame, bytes) in [(2, query(7)), (3, vec![0x11; 200]), (4, no_name)] {
        run.data(SERVER, frame, &bytes);
    }
    run.data(CLIENT, 5, &query(2));
    let missing = Some("bytes are missing");
    assert_eq!(run.faults(), [(1, missing), (2, missing)]);
}

#[test]
fn a_gap_within_a_message_costs_that_message_only() {
    for seen in [0, 1, 2, 10, 14, 18] {
        let mut run = Run::new();
        run.data(CLIENT, 1, &query(1));
        run.data(CLIENT, 2, &query(2));
        let whole = answer(1);
        if seen > 0 {
            run.data(SERVER, 3, &whole[..seen]);
        }
        // The bytes behind the gap do not begin a piece: the length tells where the next message begins.
        let end = whole.len() - usize::from(seen > 1) * 2;
        run.gap(SERVER, 3, end - seen);
        run.data(SERVER, 4, &[&whole[end..], &answer(2)].concat());
        run.data(CLIENT, 5, &query(3));
        let rows = run.finish();
        let faults: Vec<_> = rows.iter().map(Exchange::fault).collect();
        assert_eq!(faults, [Some("bytes are missing"), None, Some("no response")], "{seen} bytes were there");
        // Its header tells whose answer it is.
        assert_eq!(rows[0].response.is_some(), seen >= 14);
    }
}

#[test]
fn a_beginning_that_was_none_is_given_up_again() {
    let mut run = Run::new();
    run.data(CLIENT, 1, &query(1));
    run.gap(SERVER, 2, 50);
    run.data(SERVER, 2, &[answer(8), vec![0, 3, 1, 2, 3]].concat()); // shorter than a header
    run.data(SERVER, 3, &answer(1));
    assert_eq!(run.faults(), [(1, None), (8, Some("no query"))]);
    // Without a gap before, it is not DNS.
    let mut run = Run::new();
    let place = Place { ts: 0, frame: 1, timed: true };
    let after = run.with(|parser, out| parser.piece(CLIENT, Piece::Data(&[0, 3, 1, 2, 3], place), out));
    assert_eq!(after, After::Enough);
}

#[test]
fn what_is_given_up_for_want_of_room_says_that_bytes_are_missing() {
    let mut run = Run::new();
    run.data(CLIENT, 1, &query(1));
    run.gap(SERVER, 2, 50);
    for id in 0..1100 {
        run.data(CLIENT, 3, &query(id));
    }
    assert!(run.rows.len() < 100);
    assert!(run.faults().iter().all(|(_, fault)| *fault == Some("bytes are missing")));
}

const SOA: u16 = 6;
const A: u16 = 1;

/// A message of a zone transfer: question `z TYPE IN`, unless it is left out, and the records `z RTYPE IN`, an SOA with its
/// serial, an address with its last byte.
fn transfer(flags: u16, qtype: Option<u16>, records: &[(u16, u8)]) -> Vec<u8> {
    let counts = [7, flags, u16::from(qtype.is_some()), records.len() as u16, 0, 0];
    let mut body = counts.map(u16::to_be_bytes).concat();
    if let Some(qtype) = qtype {
        body.extend([&[1, b'z', 0], &qtype.to_be_bytes()[..], &[0, 1]].concat());
    }
    for (rtype, number) in records {
        let data =
            if *rtype == SOA { [&[0, 0, 0, 0, 0, *number], &[0; 16][..]].concat() } else { vec![192, 0, 2, *number] };
        body.extend(
            [&[1, b'z', 0], &rtype.to_be_bytes()[..], &[0, 1, 0, 0, 0, 9, 0, data.len() as u8], &data].concat(),
        );
    }
    [&(body.len() as u16).to_be_bytes()[..], &body].concat()
}

/// The answer that came in these messages, one a frame, to a query for this type: answers, fault and the frame of the first.
fn transferred(qtype: u16, messages: &[Vec<u8>]) -> Vec<(usize, Option<&'static str>, u64)> {
    let mut run = Run::new();
    run.data(CLIENT, 1, &transfer(0, Some(qtype), &[]));
    for (at, message) in messages.iter().enumerate() {
        run.data(SERVER, 2 + at as u64, message);
    }
    let rows = run.finish();
    rows.iter()
        .map(|one| (one.response.as_ref().map_or(0, |it| it.answers.len()), one.fault(), one.answered.frame))
        .collect()
}

/// RFC 5936, 2.2: the first and the last record are the SOA; later messages may leave out the question.
#[test]
fn a_zone_transfer_is_one_answer_in_many_messages() {
    const AXFR: u16 = 252;
    let first = transfer(0x8400, Some(AXFR), &[(SOA, 3), (A, 1)]);
    let next = transfer(0x8400, None, &[(A, 2), (A, 3)]);
    let last = transfer(0x8400, None, &[(A, 4), (SOA, 3)]);
    assert_eq!(transferred(AXFR, &[first.clone(), next.clone(), last.clone()]), [(6, None, 2)]);
    assert_eq!(transferred(AXFR, &[transfer(0x8400, Some(AXFR), &[(SOA, 3), (A, 1), (SOA, 3)])]), [(3, None, 2)]);
    // What one message a record makes of it; another message behind its end answers nobody.
    let alone: Vec<_> = [(SOA, 3), (A, 1), (SOA, 3)].map(|record| transfer(0x8400, None, &[record])).into();
    assert_eq!(transferred(AXFR, &alone), [(3, None, 2)]);
    let behind = [first.clone(), last.clone(), next.clone()];
    assert_eq!(transferred(AXFR, &behind), [(4, None, 2), (2, Some("no query"), 4)]);
    // Refused, and broken off.
    assert_eq!(transferred(AXFR, &[transfer(0x8405, Some(AXFR), &[])]), [(0, None, 2)]);
    assert_eq!(transferred(AXFR, &[first.clone(), next.clone()]), [(4, Some("the transfer does not end"), 2)]);

    let mut run = Run::new();
    run.data(CLIENT, 1, &transfer(0, Some(AXFR), &[]));
    run.data(SERVER, 2, &first);
    run.gap(SERVER, 3, next.len());
    run.data(SERVER, 4, &last);
    let rows = run.finish();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].fault(), Some("bytes are missing"));
}

/// RFC 1995, 4: the differences from version to version, each with two SOAs in front; or a zone; or what there is already.
#[test]
fn incremental_transfers_end_with_the_third_soa() {
    const IXFR: u16 = 251;
    let message = |records: &[(u16, u8)]| transfer(0x8400, Some(IXFR), records);
    let differences =
        [message(&[(SOA, 3), (SOA, 1), (A, 1), (SOA, 2), (A, 2)]), message(&[(SOA, 2), (A, 2), (SOA, 3)])];
    let ended = [differences.as_slice(), &[message(&[(A, 3), (SOA, 3)])]].concat();
    assert_eq!(transferred(IXFR, &ended), [(10, None, 2)]);
    assert_eq!(transferred(IXFR, &differences), [(8, Some("the transfer does not end"), 2)]);
    assert_eq!(transferred(IXFR, &[message(&[(SOA, 3), (A, 1)]), message(&[(SOA, 3)])]), [(3, None, 2)]);
    assert_eq!(transferred(IXFR, &[message(&[(SOA, 3)])]), [(1, None, 2)]);
}

#[test]
fn answers_of_a_transfer_are_bounded() {
    let many = transfer(0x8400, None, &[(A, 1); 2500]);
    let messages = [
        transfer(0x8400, Some(252), &[(SOA, 3)]),
        many.clone(),
        many.clone(),
        many,
        transfer(0x8400, None, &[(SOA, 3)]),
    ];
    assert_eq!(transferred(252, &messages), [(6000, Some("too many records"), 2)]);
}

#[test]
fn an_answer_of_another_class_answers_another_question() {
    let mut chaos = answer(5);
    *chaos.last_mut().unwrap() = 3;
    let mut run = Run::new();
    run.data(CLIENT, 1, &query(5));
    run.data(SERVER, 2, &chaos);
    assert_eq!(run.faults(), [(5, Some("no response")), (5, Some("no query"))]);
}

/// RFC 1035, 4.1.1: the counts of a message may all be 0.
#[test]
fn a_query_that_asks_nothing_has_a_row() {
    let empty = |flags: u16| [&[0, 12, 0, 9], &flags.to_be_bytes()[..], &[0; 8]].concat();
    assert_eq!(looks_tcp(&[empty(0x0100), query(5)].concat(), (4000, 53)), Looks::Client);
    let mut run = Run::new();
    run.data(CLIENT, 1, &[empty(0x0100), query(5)].concat());
    run.data(SERVER, 2, &[empty(0x8101), answer(5)].concat());
    assert_eq!(run.faults(), [(9, None), (5, None)]);
}
