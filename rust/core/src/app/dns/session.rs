//! Messages of a flow, queries paired with their answers.

use super::message::{self, MULTICAST_BIT, Message};
use super::transfer::Transfer;
use crate::app::{Datagram, DatagramAnalyzer, Found, Out};
use crate::stream::Place;
use compact_str::CompactString;
use std::collections::VecDeque;

/// What is wrong with a zone transfer of which more was to come.
const UNENDED: &str = "the transfer does not end";

/// Queries of one flow that may wait for their answers; the oldest is given up beyond.
const MAX_OPEN: usize = 1024;

/// How long a query counts that is asked again: within this time of its last repetition, ns. Wireshark's
/// `dns.retransmission_timer` is the same.
const REPEATED: i64 = 5_000_000_000;

/// A query with its answer, as far as they were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// `dns`, `mdns` or `llmnr`.
    pub service: &'static str,
    /// Where its first byte was: of the query, or else of the answer.
    pub first: Place,
    /// The query.
    pub query: Option<Message>,
    /// The frame with which the query was whole.
    pub asked: Place,
    /// The answer.
    pub response: Option<Message>,
    /// The frame with which the answer was whole.
    pub answered: Place,
    /// Bytes are missing where its answer may have been.
    pub is_answer_missing: bool,
}

/// Where a message was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    /// Its first byte.
    pub(super) first: Place,
    /// The latest frame that it needed: out of order, that is not the one of its last byte.
    pub(super) whole: Place,
}

impl Span {
    /// All of it in one frame.
    pub(super) fn at(place: Place) -> Self {
        Self { first: place, whole: place }
    }
}

impl Exchange {
    /// A query that has no answer yet.
    pub(super) fn asked(service: &'static str, mut query: Message, asked: Place) -> Self {
        query.forget_records(); // no table has them
        let (first, response, answered) = (asked, None, Place::default());
        Self { service, first, query: Some(query), asked, response, answered, is_answer_missing: false }
    }

    /// An answer to no query that was seen.
    pub(super) fn alone(service: &'static str, response: Message, answered: Place) -> Self {
        let (first, query, asked) = (answered, None, answered);
        Self { service, first, query, asked, response: Some(response), answered, is_answer_missing: false }
    }

    /// Adds what a further message of its answer holds.
    fn go_on(&mut self, message: Message, answered: Place) {
        match &mut self.response {
            Some(response) => response.go_on(message),
            None => (self.response, self.answered) = (Some(message), answered),
        }
    }

    /// Why it is not whole.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let of = |message: &Option<Message>| message.as_ref().and_then(|message| message.fault);
        of(&self.query).or_else(|| of(&self.response)).or(match (&self.query, &self.response) {
            // Who asks a group is not answered by those who do not know, and announcements answer nobody.
            _ if self.service != "dns" => None,
            (_, None) if self.is_answer_missing => Some("bytes are missing"),
            (_, None) => Some("no response"),
            (None, _) => Some("no query"),
            _ => None,
        })
    }

    /// Bytes of its texts.
    pub(in crate::app) fn text_len(&self) -> usize {
        [&self.query, &self.response].into_iter().flatten().map(Message::text_len).sum()
    }

    /// The message that has the question: the query, or the answer that repeats it.
    #[must_use]
    pub fn asking(&self) -> Option<&Message> {
        self.query.as_ref().or(self.response.as_ref())
    }
}

/// A query that waits.
struct Open {
    side: usize,
    exchange: Exchange,
    /// Whose answer takes several messages.
    transfer: Option<Transfer>,
}

/// The queries of a flow that wait for their answers.
#[derive(Default)]
pub(super) struct Pairs {
    open: VecDeque<Open>,
    /// By side: bytes are missing, and its messages have not been found again since.
    pub(super) is_lost: [bool; 2],
}

impl Pairs {
    /// A message of a side.
    pub(super) fn message(
        &mut self,
        message: Message,
        service: &'static str,
        side: usize,
        span: Span,
        out: &mut Out<'_>,
    ) {
        note_message(&message, service, out);
        let Span { first, whole } = span;
        if !message.is_response {
            let transfer = Transfer::asked(&message);
            let exchange = Exchange { first, ..Exchange::asked(service, message, whole) };
            self.open.push_back(Open { side, exchange, transfer });
            if self.open.len() > MAX_OPEN
                && let Some(oldest) = self.open.pop_front()
            {
                self.unended(oldest, out);
            }
            return;
        }
        let asks = |open: &Open| {
            let query = open.exchange.query.as_ref();
            open.side != side && query.is_some_and(|query| query.id == message.id && same_question(query, &message))
        };
        if let Some(first) = self.open.iter().position(asks) {
            let at = self.pass_over(first, whole, asks, out);
            let Open { exchange, transfer, .. } = &mut self.open[at];
            let goes_on = transfer.as_mut().is_some_and(|transfer| transfer.goes_on(&message));
            let fails = message.rcode != 0 && exchange.response.is_some();
            exchange.go_on(message, whole);
            if let Some(response) = exchange.response.as_mut().filter(|_| fails) {
                response.fault.get_or_insert(UNENDED);
            }
            if !goes_on && let Some(open) = self.open.remove(at) {
                ended(open, out);
            }
            return;
        }
        report(Exchange { first, ..Exchange::alone(service, message, whole) }, out);
    }

    /// Of the queries that an answer may be to, the first of which waits at a place, gives up those that were asked again
    /// later than repetitions are; the place of the one that it is to.
    fn pass_over(&mut self, first: usize, answered: Place, asks: impl Fn(&Open) -> bool, out: &mut Out<'_>) -> usize {
        let is_late =
            |exchange: &Exchange, until: &Place| exchange.asked.until(until).is_some_and(|age| age > REPEATED);
        let one = &self.open[first].exchange;
        if one.response.is_some() || !is_late(one, &answered) {
            return first;
        }
        let Some(latest) = self.open.iter().rev().find(|open| asks(open)).map(|open| open.exchange.asked) else {
            return first;
        };
        let mut at = first;
        while let Some(open) = self.open.get(at)
            && (!asks(open) || is_late(&open.exchange, &latest))
        {
            if !asks(open) {
                at += 1;
            } else if let Some(old) = self.open.remove(at) {
                self.unended(old, out);
            }
        }
        at
    }

    /// Bytes of a side are missing that were sent before this frame: answers to what was asked until then may have been
    /// among them.
    pub(super) fn missed(&mut self, side: usize, before: u64) {
        for Open { side: from, exchange, .. } in &mut self.open {
            exchange.is_answer_missing |= *from != side && exchange.asked.frame <= before;
        }
    }

    /// Gives up one that has no answer, or only the beginning of one.
    fn unended(&self, mut open: Open, out: &mut Out<'_>) {
        open.exchange.is_answer_missing |= self.is_lost[open.side ^ 1];
        if let Some(response) = &mut open.exchange.response
            && !open.exchange.is_answer_missing
        {
            response.fault.get_or_insert(UNENDED);
        }
        ended(open, out);
    }

    pub(super) fn finish(&mut self, out: &mut Out<'_>) {
        for open in std::mem::take(&mut self.open) {
            self.unended(open, out);
        }
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.open.iter().map(|open| open.exchange.first.frame).min()
    }
}

/// Tells an exchange. Of an answer in several messages, any of them may be missing.
fn ended(open: Open, out: &mut Out<'_>) {
    let mut exchange = open.exchange;
    if open.transfer.is_some()
        && exchange.is_answer_missing
        && let Some(response) = &mut exchange.response
    {
        response.fault.get_or_insert("bytes are missing");
    }
    report(exchange, out);
}

/// Facts of a flow that a message shows.
fn note_message(message: &Message, service: &'static str, out: &mut Out<'_>) {
    note(message.is_response, || message.questions.first().map(|question| &*question.name), service, out);
}

/// The same of a message whose first question has this name.
fn note<N: Into<CompactString>>(
    is_response: bool,
    name: impl FnOnce() -> Option<N>,
    service: &'static str,
    out: &mut Out<'_>,
) {
    out.facts.service.get_or_insert(service);
    // An answer may come before the first query, and a query may ask nothing.
    if !is_response && out.facts.dns_query.is_none() {
        out.facts.dns_query = name().map(Into::into);
    }
}

/// Whether a response has the question of a query, if it repeats one.
pub(super) fn same_question(query: &Message, response: &Message) -> bool {
    match (query.questions.first(), response.questions.first()) {
        (Some(asked), Some(told)) => {
            let is_same_class = (asked.class ^ told.class) & !MULTICAST_BIT == 0;
            asked.qtype == told.qtype && is_same_class && asked.name.eq_ignore_ascii_case(&told.name)
        }
        _ => true,
    }
}

fn report(exchange: Exchange, out: &mut Out<'_>) {
    if out.wants.dns {
        out.row(exchange.first, Found::Dns(Box::new(exchange)));
    }
}

pub(super) fn service(ports: (u16, u16)) -> Option<&'static str> {
    let has = |port| ports.0 == port || ports.1 == port;
    if has(53) {
        Some("dns")
    } else if has(5353) {
        Some("mdns")
    } else if has(5355) {
        Some("llmnr")
    } else {
        None
    }
}

/// Recognises a datagram by port and header.
pub fn looks(datagram: &Datagram<'_>) -> bool {
    service(datagram.ports).is_some() && message::looks(datagram.payload)
}

/// A UDP flow.
pub fn make() -> Box<dyn DatagramAnalyzer> {
    Box::new(OverUdp(Pairs::default()))
}

struct OverUdp(Pairs);

impl DatagramAnalyzer for OverUdp {
    fn datagram(&mut self, datagram: &Datagram<'_>, out: &mut Out<'_>) -> bool {
        let Some(service) = service(datagram.ports) else { return true };
        if !out.wants.dns {
            // A flow's facts alone are wanted: nothing behind its first question is looked at.
            if let Some(flags) = datagram.payload.get(2) {
                let name = || message::first_name(datagram.payload);
                note(flags & 0x80 != 0, name, service, out);
            }
            return out.facts.dns_query.is_none();
        }
        if let Some(mut message) = Message::parse(datagram.payload) {
            if datagram.payload.len() < datagram.wire_len as usize {
                message.fault = Some("cut by the snap length");
            }
            if service == "dns" {
                self.0.message(message, service, datagram.side, Span::at(datagram.place), out);
            } else {
                note_message(&message, service, out);
                out.multicast.message(message, service, datagram, out.who, out.rows);
            }
        }
        true
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        self.0.finish(out);
    }

    fn oldest_open(&self) -> Option<u64> {
        self.0.oldest()
    }
}
