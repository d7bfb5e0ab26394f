//! One stream: its two directions put in order, and the parser that reads them.

use super::glance::first_byte;
use super::heard::Heard;
use super::{Piece, Place, Reassembler};
use crate::app::raw::Raw;
use crate::app::{
    After, Analyzer, DatagramAnalyzer, ENOUGH_TO_TELL, LONGEST_LINE, Looks, MOST_PIECES, OVER_TCP, Out, OverTcp, Wants,
    Who,
};
use crate::packet::Packet;
use crate::track::tcp::{ACK, FIN, RST, SYN};
use std::collections::VecDeque;

/// Bytes that a side not recognised yet holds back.
const UNKNOWN_HELD: usize = 1 << 16;

/// How long a hole stays that the peer has acknowledged past, ns of the packets' own time: on several queues or capture
/// points an acknowledgment can come before what it acknowledges.
const GRACE: i64 = 100_000_000;

/// The same where nobody looks on, and bytes count more than time: until a segment whose acknowledgment got lost has been
/// sent again, twice (RFC 6298, 2.1 and 5.5).
const LONG_GRACE: i64 = 3_000_000_000;

pub(super) enum Parser {
    /// Not recognised yet: the first bytes of each side, and whether nothing of either came before.
    Unknown([Start; 2], bool),
    Tcp(Box<dyn Analyzer>),
    Udp(Box<dyn DatagramAnalyzer>),
    Raw(Box<Raw>),
    None,
}

/// The first bytes of a side, fewer than [`LONGEST_LINE`], in the pieces in which they came: whoever reads them is told
/// the place of each.
#[derive(Default)]
pub(super) struct Start(Vec<(Vec<u8>, Place)>);

impl Start {
    fn whole(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(part, _)| part).copied().collect()
    }

    /// The frame of the first byte.
    pub(super) fn first(&self) -> Option<u64> {
        self.0.first().map(|(_, place)| place.frame)
    }
}

pub(super) struct Stream {
    pub(super) number: u64,
    pub(super) who: Who,
    pub(super) ports: [u16; 2],
    pub(super) sides: [Reassembler; 2],
    pub(super) ended: [bool; 2],
    pub(super) last: Place,
    /// By side: a hole that its peer has acknowledged past, and since when.
    pub(super) passed: [Option<(u64, i64)>; 2],
    pub(super) parser: Parser,
    pub(super) heard: Heard,
}

impl Stream {
    /// A stream that has had nothing yet; `sides` know where it begins.
    pub(super) fn new(number: u64, who: Who, ports: [u16; 2], sides: [Reassembler; 2], parser: Parser) -> Self {
        let heard = Heard::from(&sides);
        let (ended, passed) = ([false; 2], [None; 2]);
        Self { number, who, ports, sides, ended, last: Place::default(), passed, parser, heard }
    }

    /// Bytes that wait behind holes, of both sides.
    pub(super) fn held(&self) -> usize {
        self.sides[0].held() + self.sides[1].held()
    }

    /// Takes a segment; `false` when the stream is not wanted any more.
    pub(super) fn segment(
        &mut self,
        side: usize,
        packet: &Packet,
        frame: &[u8],
        place: Place,
        out: &mut Out<'_>,
    ) -> bool {
        self.last = place;
        let payload = packet.payload_of(frame);
        // Most segments neither begin nor end anything, and are the next in order or have no bytes, while nothing waits.
        let is_plain = packet.tcp_flags & (SYN | FIN | RST) == 0
            && payload.len() == packet.payload_len as usize
            && self.sides[side].is_flowing()
            && self.sides[side ^ 1].held() == 0;
        if is_plain && payload.is_empty() {
            return true;
        }
        if is_plain && self.sides[side].next_in_order(packet.tcp_seq, packet.payload_len) {
            return feed(&mut self.parser, self.ports, side, Piece::Data(payload, place), out);
        }
        let seq = first_byte(packet);
        let is_reset = packet.tcp_flags & RST != 0 && self.sides[side].takes_reset(seq);
        let Self { sides, parser, ports, .. } = self;
        let peer = side ^ 1;
        let mut wanted = true;
        if packet.tcp_flags & ACK != 0 && sides[peer].settles(packet.tcp_ack) {
            let mut emit = |piece: Piece<'_>| wanted = wanted && feed(parser, *ports, peer, piece, out);
            sides[peer].skip_hole(&mut emit); // before what answers it
        }
        let mut emit = |piece: Piece<'_>| wanted = wanted && feed(parser, *ports, side, piece, out);
        sides[side].segment(seq, payload, packet.payload_len, place, &mut emit);
        // What has not been recognised may wait for its beginning, but not for long: it is nobody's yet.
        while sides[side].held() > UNKNOWN_HELD && matches!(parser, Parser::Unknown(..)) {
            let mut emit = |piece: Piece<'_>| wanted = wanted && feed(parser, *ports, side, piece, out);
            sides[side].skip_hole(&mut emit);
        }
        let grace = if (out.wants.raw || out.wants.files) && out.tap.is_none() { LONG_GRACE } else { GRACE };
        if sides[side].floats_since().is_some_and(|since| place.ts.saturating_sub(since) >= GRACE) {
            let mut emit = |piece: Piece<'_>| wanted = wanted && feed(parser, *ports, side, piece, out);
            sides[side].skip_hole(&mut emit);
        }
        if packet.tcp_flags & ACK != 0 && sides[peer].held() > 0 {
            let hole = sides[peer].passed_hole(packet.tcp_ack);
            self.passed[peer] = match (hole, self.passed[peer]) {
                (Some(at), Some((before, since))) if at == before && place.ts.saturating_sub(since) >= grace => {
                    let mut emit = |piece: Piece<'_>| wanted = wanted && feed(parser, *ports, peer, piece, out);
                    sides[peer].skip_hole(&mut emit);
                    None
                }
                (Some(at), Some((before, since))) if at == before => Some((before, since)),
                (hole, _) => hole.map(|at| (at, place.ts)),
            };
        }
        if packet.tcp_flags & FIN != 0 {
            sides[side].fin(seq.wrapping_add(packet.payload_len));
        }
        if !wanted {
            return false;
        }
        if is_reset {
            self.finish(out);
            return false;
        }
        for side in [side, peer] {
            if self.sides[side].is_done() && !self.ended[side] {
                self.ended[side] = true;
                match &mut self.parser {
                    Parser::Tcp(parser) => parser.close(side, place, out),
                    Parser::Raw(raw) => raw.close(side),
                    Parser::Udp(_) | Parser::Unknown(..) | Parser::None => {}
                }
            }
        }
        if self.ended == [true; 2] {
            self.finish(out);
            return false;
        }
        true
    }

    pub(super) fn skip_holes(&mut self, side: usize, out: &mut Out<'_>) {
        let Self { sides, parser, ports, .. } = self;
        let mut emit = |piece: Piece<'_>| {
            feed(parser, *ports, side, piece, out);
        };
        sides[side].skip_hole(&mut emit);
    }

    /// Hands out what is held, and ends the parser.
    pub(super) fn finish(&mut self, out: &mut Out<'_>) {
        let mut waiting = [VecDeque::new(), VecDeque::new()];
        for (own, waiting) in self.sides.iter_mut().zip(&mut waiting) {
            own.close(self.last, &mut |piece| {
                waiting.push_back(match piece {
                    Piece::Data(bytes, place) => ((bytes.to_vec(), 0), place),
                    Piece::Gap(len, place) => ((Vec::new(), len), place),
                })
            });
        }
        while let Some((side, ((bytes, len), place))) = next_captured(&mut waiting) {
            let piece = if len > 0 { Piece::Gap(len, place) } else { Piece::Data(&bytes, place) };
            feed(&mut self.parser, self.ports, side, piece, out);
        }
        for side in [0, 1] {
            if let Parser::Raw(raw) = &mut self.parser
                && self.sides[side].is_done()
            {
                raw.close(side);
            }
        }
        match std::mem::replace(&mut self.parser, Parser::None) {
            Parser::Tcp(mut parser) => parser.finish(out),
            Parser::Udp(mut parser) => parser.finish(out),
            Parser::Raw(mut raw) => raw.finish(out),
            Parser::Unknown(..) | Parser::None => {}
        }
    }
}

/// Takes out the next piece of both sides, each in its own order, that was captured first, and says whose it is.
fn next_captured<T>(waiting: &mut [VecDeque<(T, Place)>; 2]) -> Option<(usize, (T, Place))> {
    let frame = |side: usize| waiting[side].front().map(|(_, place)| place.frame);
    let side = [0, 1].into_iter().filter(|side| frame(*side).is_some()).min_by_key(|side| frame(*side))?;
    waiting[side].pop_front().map(|piece| (side, piece))
}

/// Gives a piece to the parser, recognising it first; `false` when the stream is not wanted any more.
fn feed(parser: &mut Parser, ports: [u16; 2], side: usize, piece: Piece<'_>, out: &mut Out<'_>) -> bool {
    let mut piece = piece;
    // A connection can become another protocol within a piece, but each time the piece gets shorter or is kept.
    loop {
        match parser {
            Parser::Raw(raw) => {
                raw.piece(side, piece, out);
                return true;
            }
            Parser::Tcp(analyzer) => match analyzer.piece(side, piece, out) {
                After::More => return true,
                After::Enough => {
                    analyzer.finish(out);
                    *parser = Parser::None;
                    return false;
                }
                After::Anew(rest) => {
                    let next = analyzer.next();
                    analyzer.finish(out);
                    *parser = next.map_or_else(|| Parser::Unknown(Default::default(), false), Parser::Tcp);
                    match piece {
                        Piece::Data(_, place) if !rest.is_empty() => piece = Piece::Data(rest, place),
                        _ => return true,
                    }
                }
            },
            Parser::Unknown(starts, from_start) => {
                let start = &mut starts[side];
                let Piece::Data(bytes, place) = piece else {
                    *from_start = false;
                    start.0.clear();
                    return true;
                };
                let joined;
                let whole: &[u8] = if start.0.is_empty() {
                    bytes
                } else {
                    joined = [&start.whole(), bytes].concat();
                    &joined
                };
                let sender = (ports[side], ports[side ^ 1]);
                let long = start.0.len() >= MOST_PIECES;
                match recognise(whole, sender, side, long, &out.wants) {
                    Ok(Some((protocol, client))) => {
                        let mut analyzer = (protocol.make)(client);
                        if *from_start {
                            analyzer.begins_here();
                        }
                        let mut before = before(protocol, ports, side, std::mem::take(starts));
                        *parser = Parser::Tcp(analyzer);
                        while let Some((side, (part, place))) = next_captured(&mut before) {
                            if !feed(parser, ports, side, Piece::Data(&part, place), out) {
                                return false;
                            }
                        }
                    }
                    Ok(None) => return false,
                    Err(()) => {
                        start.0.push((bytes.to_vec(), place));
                        return true;
                    }
                }
            }
            Parser::Udp(_) | Parser::None => return false,
        }
    }
}

/// What both sides had sent before `side` was recognised. What the other one sent may have been captured too early, or belong
/// to what led to this protocol.
fn before(protocol: &OverTcp, ports: [u16; 2], side: usize, mut starts: [Start; 2]) -> [VecDeque<(Vec<u8>, Place)>; 2] {
    let other = side ^ 1;
    if !starts[other].0.is_empty() && (protocol.looks)(&starts[other].whole(), (ports[other], ports[side])) == Looks::No
    {
        starts[other].0.clear();
    }
    starts.map(|start| start.0.into())
}

/// The protocol of a side that begins so, and which side is its client; `Err` if that needs more bytes. long: of a line in many
/// pieces no more is waited for.
fn recognise(
    bytes: &[u8],
    ports: (u16, u16),
    side: usize,
    long: bool,
    wants: &Wants,
) -> Result<Option<(&'static OverTcp, usize)>, ()> {
    let mut perhaps = false;
    for protocol in OVER_TCP.iter().filter(|one| (one.wanted)(wants)) {
        match (protocol.looks)(bytes, ports) {
            Looks::Client => return Ok(Some((protocol, side))),
            Looks::Server => return Ok(Some((protocol, side ^ 1))),
            Looks::Perhaps => perhaps = true,
            Looks::No => {}
        }
    }
    let most = if long { ENOUGH_TO_TELL } else { LONGEST_LINE };
    if perhaps && bytes.len() < most { Err(()) } else { Ok(None) }
}
