//! Messages of a TCP connection, each behind its length (RFC 1035, 4.2.2; RFC 7766, 8).

use super::message::{self, Message};
use super::session::{Pairs, Span, service};
use crate::app::{After, Analyzer, Looks, Out};
use crate::decode::cursor::be16;
use crate::stream::{Piece, Place};

/// Bytes of the length in front of a message.
const LENGTH: usize = 2;

/// Recognises a TCP side by port, length and header (RFC 1035, 4.2.2; RFC 4795, 2.4).
pub fn looks_tcp(bytes: &[u8], ports: (u16, u16)) -> Looks {
    if !matches!(service(ports), Some("dns" | "llmnr")) {
        return Looks::No;
    }
    match bytes {
        [a, b, message @ ..] if message.len() >= 12 => {
            let len = u16::from_be_bytes([*a, *b]);
            let message = &message[..usize::from(len).min(message.len())];
            match message::looks(message) {
                true if message[2] & 0x80 != 0 => Looks::Server,
                true => Looks::Client,
                false => Looks::No,
            }
        }
        _ => Looks::Perhaps,
    }
}

/// A TCP connection.
pub fn make_tcp(client: usize) -> Box<dyn Analyzer> {
    Box::new(OverTcp { client, pairs: Pairs::default(), sides: Default::default() })
}

/// One direction.
#[derive(Default)]
struct Half {
    /// A message in the making, from its length on.
    buffer: Vec<u8>,
    /// Where that one is.
    span: Span,
    /// Bytes up to the end of a message that is given up.
    skip: usize,
    /// Bytes were missing.
    had_gap: bool,
}

impl Half {
    /// Bytes up to the end of the message at hand; 0 if that is not known.
    fn left(&self) -> usize {
        match self.buffer.len() {
            held if held >= LENGTH => (LENGTH + usize::from(be16(&self.buffer, 0))).saturating_sub(held),
            _ => self.skip,
        }
    }
}

struct OverTcp {
    client: usize,
    pairs: Pairs,
    sides: [Half; 2],
}

impl OverTcp {
    /// Bytes of a side; `false` if they are not DNS.
    fn data(&mut self, side: usize, bytes: &[u8], place: Place, out: &mut Out<'_>) -> bool {
        let half = &mut self.sides[side];
        let passed = half.skip.min(bytes.len());
        half.skip -= passed;
        let bytes = &bytes[passed..];
        if self.pairs.is_lost[side] && begins(bytes, side != self.client) {
            self.pairs.is_lost[side] = false;
            self.pairs.missed(side, place.frame);
        }
        if self.pairs.is_lost[side] || bytes.is_empty() {
            return true;
        }
        if half.buffer.is_empty() {
            half.span = Span::at(place);
        }
        half.span.whole.reach(place);
        half.buffer.extend_from_slice(bytes);
        let service = service_of(out);
        let mut at = 0;
        while half.buffer.len() >= at + LENGTH {
            let len = usize::from(be16(&half.buffer, at));
            let Some(message) = half.buffer.get(at + LENGTH..at + LENGTH + len) else { break };
            at += LENGTH + len;
            let Some(message) = Message::parse(message) else {
                // Behind a gap a beginning may have been taken for one falsely.
                self.pairs.is_lost[side] = half.had_gap;
                half.buffer.clear();
                return half.had_gap;
            };
            self.pairs.message(message, service, side, half.span, out);
            // What follows begins in this piece: it was needed for the message before.
            half.span = Span::at(place);
        }
        half.buffer.drain(..at);
        true
    }

    /// So many bytes of a side are missing. Within a message of known length that does no harm to the next one.
    fn gap(&mut self, side: usize, len: u64, place: Place, out: &mut Out<'_>) {
        if self.pairs.is_lost[side] {
            return;
        }
        let half = &mut self.sides[side];
        half.had_gap = true;
        let left = (half.left() as u64).checked_sub(len);
        self.pairs.is_lost[side] = left.is_none();
        // Of a message that is passed over already, all is said.
        let mut is_known = half.skip > 0;
        half.skip = left.unwrap_or(0) as usize;
        let begun = std::mem::take(&mut half.buffer);
        if let Some(mut message) = begun.get(LENGTH..).and_then(Message::parse) {
            is_known = true;
            message.fault = Some("bytes are missing");
            self.pairs.message(message, service_of(out), side, half.span, out);
        }
        if !is_known {
            self.pairs.missed(side, place.frame);
        }
    }
}

fn service_of(out: &Out<'_>) -> &'static str {
    service((out.who.orig_p, out.who.resp_p)).unwrap_or("dns")
}

/// Whether a message begins here, behind a gap. More is asked than of a connection's first bytes, since the middle of a
/// message may pass for a header: its direction, one question at most (RFC 9619), and what is there must be readable.
fn begins(bytes: &[u8], is_response: bool) -> bool {
    let Some((length, rest)) = bytes.split_at_checked(LENGTH) else { return false };
    let len = usize::from(be16(length, 0));
    let seen = &rest[..len.min(rest.len())];
    if !message::looks(seen) || be16(seen, 4) > 1 {
        return false;
    }
    let Some(message) = Message::parse(seen) else { return false };
    let is_cut = seen.len() < len && !(message.questions.is_empty() && message.answers.is_empty());
    message.is_response == is_response && (message.fault.is_none() || is_cut)
}

impl Analyzer for OverTcp {
    fn piece<'a>(&mut self, side: usize, piece: Piece<'a>, out: &mut Out<'_>) -> After<'a> {
        match piece {
            Piece::Gap(len, place) => self.gap(side, len, place, out),
            Piece::Data(bytes, place) => {
                if !self.data(side, bytes, place, out) {
                    return After::Enough;
                }
            }
        }
        if out.wants.dns || out.facts.dns_query.is_none() { After::More } else { After::Enough }
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        self.pairs.finish(out);
    }

    fn oldest_open(&self) -> Option<u64> {
        let begun = self.sides.iter().filter(|half| !half.buffer.is_empty()).map(|half| half.span.first.frame);
        begun.chain(self.pairs.oldest()).min()
    }
}
