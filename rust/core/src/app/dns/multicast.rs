//! mDNS and LLMNR over UDP: queries to a group, and the answers, which come from another address and so in another flow.
//!
//! A query waits here, apart from its flow. A response is given to every query that waits for it on its link, and is then
//! no row of its own. The first one counts: of a query that has its answer nothing is left here, so what another responder
//! says to it is a row. Time is the packets' own.
//!
//! - LLMNR (RFC 4795, 2.1.1): to the address and port that asked, with the query's number and question.
//! - mDNS (RFC 6762, 6): from port 5353, with a record of the name and type that was asked for, an alias, or an NSEC that
//!   says that there is none (6.1), to the group, or to the address and port that asked (5.4). At another port than 5353
//!   the group is not heard, and the answer repeats the query's number (6.7). Who probes for a name does not answer
//!   himself (8.1).

use super::message::Message;
use super::session::{Exchange, same_question};
use crate::app::{Datagram, Found, Row, Who};
use crate::packet::Tunnel;
use crate::stream::Place;
use crate::track::key::FlowKey;
use ahash::RandomState;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// How long a query waits, ns. An mDNS querier asks again after 1 s and another 2 s (RFC 6762, 5.2): what comes later answers
/// those queries. A responder takes at most 0.5 s and, where it said the same just before, 1 s more (6; 7.2). An LLMNR sender
/// gives up after three times 1 s (RFC 4795, 2.7).
pub const PATIENCE: i64 = 3_000_000_000;

/// Queries that may wait; the oldest is given up beyond.
pub const MAX_QUERIES: usize = 1024;

/// These and their questions together.
pub const MAX_QUESTIONS: usize = 16_384;

/// Records that one response puts into rows: it stands in the row of each query that it answers, and hostile ones would fill
/// memory with copies of a long one. One query has it whole however long it is.
const MAX_REPEATED: usize = 4096;

/// The same in bytes of text.
const MAX_REPEATED_TEXT: usize = 1 << 20;

const MDNS: u16 = 5353;
const CNAME: u16 = 5;
const NSEC: u16 = 47;
const ANY: u16 = 255;

/// Traffic of one link does not answer that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Link {
    point: u32,
    vlans: u64,
    vni: u32,
    tunnel: Tunnel,
    family: u8,
}

/// An address and a port.
type End = ([u8; 16], u16);

/// Which way a datagram went.
struct Way {
    link: Link,
    from: End,
    to: End,
}

impl Way {
    fn of(datagram: &Datagram<'_>) -> Self {
        let FlowKey { low, high, ports, vlans, vni, point, family, tunnel, .. } = *datagram.key;
        let ends = [(low, ports[0]), (high, ports[1])];
        let side = datagram.side & 1;
        Self { link: Link { point, vlans, vni, tunnel, family }, from: ends[side], to: ends[side ^ 1] }
    }
}

fn is_group(family: u8, address: &[u8; 16]) -> bool {
    if family == 4 { address[0] >> 4 == 0xe } else { address[0] == 0xff }
}

/// What a response must have to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// mDNS: a record of this name, in lower case.
    Name(Link, String),
    /// LLMNR: this number and destination.
    Number(Link, End, u16),
}

#[derive(Debug)]
struct Query {
    who: Who,
    asker: End,
    /// The only one who may answer; none if a group was asked.
    asked: Option<[u8; 16]>,
    message: Message,
    place: Place,
}

impl Query {
    fn weight(&self) -> usize {
        1 + self.message.questions.len()
    }
}

/// The queries that wait.
#[derive(Debug, Default)]
pub struct Multicast {
    /// By number, in the order they came.
    open: BTreeMap<u64, (Link, &'static str, Query)>,
    /// Numbers, and the type that is asked for of the name.
    by_key: HashMap<Key, Vec<(u64, u16)>, RandomState>,
    numbers: u64,
    weight: usize,
}

impl Multicast {
    /// A message of a flow of mDNS or LLMNR. Rows are added as they are over.
    pub(super) fn message(
        &mut self,
        mut message: Message,
        service: &'static str,
        datagram: &Datagram<'_>,
        who: Who,
        rows: &mut Vec<Row>,
    ) {
        let Datagram { place, .. } = *datagram;
        self.expire(place.ts, rows);
        let way = Way::of(datagram);
        if message.is_response {
            if let Some(alone) = self.response(message, service, &way, place, rows) {
                rows.push(row(who, place, alone));
            }
            return;
        }
        message.forget_records(); // known answers; nobody asks for them
        // Without a question, as the rest of a list of known answers is (RFC 6762, 7.2), there is nothing to wait for.
        if message.opcode != 0 || message.questions.is_empty() {
            return rows.push(row(who, place, Exchange::asked(service, message, place)));
        }
        let (address, _) = way.to;
        let asked = (!is_group(way.link.family, &address)).then_some(address);
        let query = Query { who, asker: way.from, asked, message, place };
        self.numbers += 1;
        self.weight += query.weight();
        for (key, qtype) in keys(way.link, service, &query) {
            self.by_key.entry(key).or_default().push((self.numbers, qtype));
        }
        self.open.insert(self.numbers, (way.link, service, query));
        while self.open.len() > MAX_QUERIES || self.weight > MAX_QUESTIONS {
            self.give_up(rows);
        }
    }

    /// Gives a response to the queries that it answers; back comes that of none.
    fn response(
        &mut self,
        message: Message,
        service: &'static str,
        way: &Way,
        place: Place,
        rows: &mut Vec<Row>,
    ) -> Option<Exchange> {
        let mut told = if service == "mdns" { self.named(&message, way) } else { self.numbered(&message, way) };
        told.retain(|number| {
            let Some((_, _, query)) = self.open.get(number) else { return false };
            let near = place.ts.saturating_sub(query.place.ts).unsigned_abs() <= PATIENCE.unsigned_abs();
            near && query.asked.is_none_or(|only| only == way.from.0)
        });
        let copies = MAX_REPEATED / (1 + message.answers.len() + message.addresses.len());
        told.truncate(copies.min(MAX_REPEATED_TEXT / (1 + message.text_len())).max(1));
        let Some((last, others)) = told.split_last() else {
            return Some(Exchange::alone(service, message, place));
        };
        for number in others {
            self.close(*number, Some((message.clone(), place)), rows);
        }
        self.close(*last, Some((message, place)), rows);
        None
    }

    /// The mDNS queries that a response answers, in their order.
    fn named(&self, message: &Message, way: &Way) -> Vec<u64> {
        let (address, port) = way.from;
        if port != MDNS || self.open.is_empty() {
            return Vec::new();
        }
        let to_group = is_group(way.link.family, &way.to.0);
        let mut records: Vec<(String, u16)> =
            message.answers.iter().map(|answer| (answer.name.to_ascii_lowercase(), answer.rtype)).collect();
        records.sort_unstable();
        records.dedup();
        let mut found = Vec::new();
        for of_name in records.chunk_by(|one, next| one.0 == next.0) {
            let name = &of_name[0].0;
            let has = |rtype| of_name.binary_search_by_key(&rtype, |(_, rtype)| *rtype).is_ok();
            let any = has(CNAME) || has(NSEC);
            let asks = |(number, qtype): &&(u64, u16)| {
                let Some((_, _, query)) = self.open.get(number) else { return false };
                let reached = if to_group {
                    query.asker.1 == MDNS
                } else {
                    query.asker == way.to && (query.asker.1 == MDNS || query.message.id == message.id)
                };
                let is_own = query.message.proposes && query.asker.0 == address;
                reached && !is_own && (any || *qtype == ANY || has(*qtype))
            };
            let waiting = self.by_key.get(&Key::Name(way.link, name.clone()));
            found.extend(waiting.into_iter().flatten().filter(asks).map(|(number, _)| *number));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The LLMNR queries that a response answers: one and its repetitions.
    fn numbered(&self, message: &Message, way: &Way) -> Vec<u64> {
        let waiting = self.by_key.get(&Key::Number(way.link, way.to, message.id));
        let asks =
            |number: &u64| self.open.get(number).is_some_and(|(_, _, query)| same_question(&query.message, message));
        waiting.into_iter().flatten().map(|(number, _)| *number).filter(asks).collect()
    }

    /// Gives up what has waited for too long at `now`, ns.
    pub(crate) fn expire(&mut self, now: i64, rows: &mut Vec<Row>) {
        while let Some((_, (_, _, query))) = self.open.first_key_value()
            && now.saturating_sub(query.place.ts) > PATIENCE
        {
            self.give_up(rows);
        }
    }

    /// Gives up everything: the input is over.
    pub fn finish(&mut self, rows: &mut Vec<Row>) {
        while !self.open.is_empty() {
            self.give_up(rows);
        }
    }

    /// The earliest frame that waits.
    pub(crate) fn oldest_open(&self) -> Option<u64> {
        self.open.first_key_value().map(|(_, (_, _, query))| query.place.frame)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.open.len()
    }

    fn give_up(&mut self, rows: &mut Vec<Row>) {
        if let Some(number) = self.open.keys().next().copied() {
            self.close(number, None, rows);
        }
    }

    /// Makes the row of a query, which waits no more.
    fn close(&mut self, number: u64, answer: Option<(Message, Place)>, rows: &mut Vec<Row>) {
        let Some((link, service, query)) = self.open.remove(&number) else { return };
        self.weight -= query.weight();
        let mut own = keys(link, service, &query);
        own.dedup_by(|one, next| one.0 == next.0);
        for (key, _) in own {
            if let Some(waiting) = self.by_key.get_mut(&key) {
                waiting.retain(|(other, _)| *other != number);
                if waiting.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
        let Query { who, message, place, .. } = query;
        let mut exchange = Exchange::asked(service, message, place);
        if let Some((response, at)) = answer {
            (exchange.response, exchange.answered) = (Some(response), at);
        }
        rows.push(row(who, place, exchange));
    }
}

fn row(who: Who, first: Place, exchange: Exchange) -> Row {
    Row { who, first, found: Found::Dns(Box::new(exchange)) }
}

/// What a query is found by, and the types asked for; the same keys stand together.
fn keys(link: Link, service: &'static str, query: &Query) -> Vec<(Key, u16)> {
    if service != "mdns" {
        return vec![(Key::Number(link, query.asker, query.message.id), 0)];
    }
    let questions = query.message.questions.iter();
    let mut names: Vec<(String, u16)> = questions.map(|one| (one.name.to_ascii_lowercase(), one.qtype)).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|(name, qtype)| (Key::Name(link, name), qtype)).collect()
}
