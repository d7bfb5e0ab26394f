//! Messages of a flow, queries paired with their answers.

use super::message::{self, Message};
use crate::app::{After, Analyzer, Datagram, DatagramAnalyzer, Facts, Found, Looks, Out};
use crate::decode::cursor::be16;
use crate::stream::{Piece, Place};
use compact_str::CompactString;
use std::collections::VecDeque;

/// Queries of one flow that may wait for their answers; the oldest is given up beyond.
const MAX_OPEN: usize = 1024;

/// A query with its answer, as far as they were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// `dns`, `mdns` or `llmnr`.
    pub service: &'static str,
    /// The query.
    pub query: Option<Message>,
    /// Where it was.
    pub asked: Place,
    /// The answer.
    pub response: Option<Message>,
    /// Where it was.
    pub answered: Place,
}

impl Exchange {
    /// A query that has no answer yet.
    pub(super) fn asked(service: &'static str, query: Message, asked: Place) -> Self {
        Self { service, query: Some(query), asked, response: None, answered: Place::default() }
    }

    /// An answer to no query that was seen.
    pub(super) fn alone(service: &'static str, response: Message, answered: Place) -> Self {
        Self { service, query: None, asked: answered, response: Some(response), answered }
    }

    /// Why it is not whole.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let of = |message: &Option<Message>| message.as_ref().and_then(|message| message.fault);
        of(&self.query).or_else(|| of(&self.response)).or(match (&self.query, &self.response) {
            // Who asks a group is not answered by those who do not know, and announcements answer nobody.
            _ if self.service != "dns" => None,
            (_, None) => Some("no response"),
            (None, _) => Some("no query"),
            _ => None,
        })
    }

    /// The message that has the question: the query, or the answer that repeats it.
    #[must_use]
    pub fn asking(&self) -> Option<&Message> {
        self.query.as_ref().or(self.response.as_ref())
    }
}

#[derive(Default)]
struct Pairs {
    open: VecDeque<(usize, Exchange)>,
}

impl Pairs {
    /// A message of a side.
    fn message(&mut self, message: Message, service: &'static str, side: usize, place: Place, out: &mut Out<'_>) {
        note_message(&message, service, out);
        if !message.is_response {
            self.open.push_back((side, Exchange::asked(service, message, place)));
            if self.open.len() > MAX_OPEN
                && let Some((_, oldest)) = self.open.pop_front()
            {
                report(oldest, out);
            }
            return;
        }
        let asks = |(from, exchange): &(usize, Exchange)| {
            *from != side
                && exchange.query.as_ref().is_some_and(|query| query.id == message.id && same_question(query, &message))
        };
        if let Some(at) = self.open.iter().position(asks)
            && let Some((_, mut exchange)) = self.open.remove(at)
        {
            exchange.response = Some(message);
            exchange.answered = place;
            return report(exchange, out);
        }
        report(Exchange::alone(service, message, place), out);
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        for (_, exchange) in self.open.drain(..) {
            report(exchange, out);
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.open.iter().map(|(_, exchange)| exchange.asked.frame).min()
    }
}

/// Facts of a flow that a message shows.
fn note_message(message: &Message, service: &'static str, out: &mut Out<'_>) {
    note(message.is_response, || message.questions.first().map(|question| question.name.as_str()), service, out);
}

/// The same of a message whose first question has this name.
fn note<N: Into<CompactString>>(
    is_response: bool,
    name: impl FnOnce() -> Option<N>,
    service: &'static str,
    out: &mut Out<'_>,
) {
    if is_response {
        out.facts.service.get_or_insert(service);
    } else if out.facts.service.is_none() {
        *out.facts = Facts { service: Some(service), dns_query: name().map(Into::into), ..std::mem::take(out.facts) };
    }
}

/// Whether a response has the question of a query, if it repeats one.
pub(super) fn same_question(query: &Message, response: &Message) -> bool {
    match (query.questions.first(), response.questions.first()) {
        (Some(asked), Some(told)) => asked.qtype == told.qtype && asked.name.eq_ignore_ascii_case(&told.name),
        _ => true,
    }
}

fn report(exchange: Exchange, out: &mut Out<'_>) {
    if out.wants.dns {
        out.row(exchange.asked, Found::Dns(Box::new(exchange)));
    }
}

fn service(ports: (u16, u16)) -> Option<&'static str> {
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
            // A flow's facts alone are wanted: nothing behind the first question is looked at.
            if let Some(flags) = datagram.payload.get(2) {
                let name = || message::first_name(datagram.payload);
                note(flags & 0x80 != 0, name, service, out);
            }
            return false;
        }
        if let Some(mut message) = Message::parse(datagram.payload) {
            if datagram.payload.len() < datagram.wire_len as usize {
                message.fault = Some("cut by the snap length");
            }
            if service == "dns" {
                self.0.message(message, service, datagram.side, datagram.place, out);
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

/// Recognises a TCP side by port, length and header (RFC 1035, 4.2.2; RFC 4795, 2.4).
pub fn looks_tcp(bytes: &[u8], ports: (u16, u16)) -> Looks {
    if !matches!(service(ports), Some("dns" | "llmnr")) {
        return Looks::No;
    }
    match bytes {
        [a, b, message @ ..] if message.len() >= 12 => {
            let len = u16::from_be_bytes([*a, *b]);
            match len >= 12 && message::looks(message) {
                true if message[2] & 0x80 != 0 => Looks::Server,
                true => Looks::Client,
                false => Looks::No,
            }
        }
        _ => Looks::Perhaps,
    }
}

/// A TCP connection.
pub fn make_tcp(_client: usize) -> Box<dyn Analyzer> {
    Box::new(OverTcp::default())
}

#[derive(Default)]
struct OverTcp {
    pairs: Pairs,
    sides: [Vec<u8>; 2],
}

impl Analyzer for OverTcp {
    fn piece<'a>(&mut self, side: usize, piece: Piece<'a>, out: &mut Out<'_>) -> After<'a> {
        let Piece::Data(bytes, place) = piece else {
            // Where the next message begins cannot be known.
            return After::Enough;
        };
        let buffer = &mut self.sides[side];
        buffer.extend_from_slice(bytes);
        let mut at = 0;
        while buffer.len() >= at + 2 {
            let len = usize::from(be16(buffer, at));
            let Some(message) = buffer.get(at + 2..at + 2 + len) else { break };
            at += 2 + len;
            let Some(message) = Message::parse(message) else { return After::Enough };
            let service = service((out.who.orig_p, out.who.resp_p)).unwrap_or("dns");
            self.pairs.message(message, service, side, place, out);
        }
        buffer.drain(..at);
        if out.wants.dns || out.facts.dns_query.is_none() { After::More } else { After::Enough }
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        self.pairs.finish(out);
    }

    fn oldest_open(&self) -> Option<u64> {
        self.pairs.oldest()
    }
}
