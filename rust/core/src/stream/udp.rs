//! The datagrams of UDP flows: each is a message, or a part of few.

use super::glance::keep_facts;
use super::one::Parser;
use super::streams::find;
use super::{Overlap, Piece, Place, Reassembler, Streams, Watch};
use crate::app::{Datagram, DatagramAnalyzer, Facts, OVER_UDP, Wants, Who};
use crate::packet::Packet;
use crate::track::Flow;

/// Packets of a UDP flow in which facts are looked for; QUIC's parser asks for no more Initial packets either.
const FACTS_WITHIN: u64 = 16;

/// The parser for a flow that has such a datagram.
pub(super) fn recognise(datagram: &Datagram<'_>, wants: &Wants) -> Option<Box<dyn DatagramAnalyzer>> {
    OVER_UDP.iter().find(|one| (one.wanted)(wants) && (one.looks)(datagram)).map(|one| (one.make)())
}

impl Streams {
    /// A packet of a UDP flow.
    pub(super) fn datagram(
        &mut self,
        flow: &mut Flow,
        side: usize,
        packet: &Packet,
        frame: &[u8],
        place: Place,
        who: impl FnOnce(&Flow) -> Who,
    ) {
        let payload = packet.payload_of(frame);
        let ports = (packet.src_port, packet.dst_port);
        let datagram = Datagram { payload, wire_len: packet.payload_len, key: &flow.key, side, ports, place };
        if self.wants.raw {
            self.raw_datagram(flow, &datagram, who);
            return;
        }
        let wants = self.wants;
        let only_facts = !wants.rows();
        let packets = flow.sides[0].pkts + flow.sides[1].pkts;
        if flow.watch == Watch::UNDECIDED {
            let Some(mut parser) = recognise(&datagram, &wants) else {
                // What has not shown itself in its first datagrams will not.
                if packets > 4 {
                    flow.watch = Watch::IGNORED;
                }
                return;
            };
            let who = who(flow);
            if only_facts {
                // Most facts are in one datagram, if not in the first: no stream is kept unless one begins here.
                let mut facts = Facts::default();
                let more = parser.datagram(&datagram, &mut self.into.out(wants, who, &mut facts));
                let goes_on = parser.goes_on();
                keep_facts(flow, facts);
                if !more || packets >= FACTS_WITHIN {
                    flow.watch = Watch::IGNORED;
                } else if goes_on {
                    flow.watch = self.open_datagrams(flow, who, parser);
                    self.note_datagram(flow, side, packet, frame, place);
                }
                return;
            }
            flow.watch = self.open_datagrams(flow, who, parser);
        }
        let Some(stream) = find(&mut self.slots, flow.watch) else {
            flow.watch = Watch::IGNORED;
            return;
        };
        let mut facts = Facts::default();
        let mut out = self.into.out(self.wants, stream.who, &mut facts);
        let more = match &mut stream.parser {
            Parser::Udp(parser) => parser.datagram(&datagram, &mut out),
            _ => false,
        };
        keep_facts(flow, facts);
        if !more || only_facts && packets >= FACTS_WITHIN {
            self.finish(flow.watch);
            flow.watch = Watch::IGNORED;
        } else if only_facts {
            self.note_datagram(flow, side, packet, frame, place);
        }
    }

    fn open_datagrams(&mut self, flow: &Flow, who: Who, parser: Box<dyn DatagramAnalyzer>) -> Watch {
        let sides = [0, 1].map(|_| Reassembler::new(0, Overlap::First));
        self.open(who, flow.key.ports, sides, Parser::Udp(parser))
    }

    /// Counts, and perhaps keeps, what an open stream of datagrams has had.
    fn note_datagram(&mut self, flow: &Flow, side: usize, packet: &Packet, frame: &[u8], place: Place) {
        let Some(stream) = find(&mut self.slots, flow.watch) else { return };
        stream.heard.is_of(flow.key);
        self.heard += stream.heard.note(self.keeps, side, packet, frame, place);
        if self.heard > self.limits.in_all {
            self.evict_oldest();
        }
    }

    /// Datagrams are listened to as they come; only TCP makes files.
    fn raw_datagram(&mut self, flow: &Flow, datagram: &Datagram<'_>, who: impl FnOnce(&Flow) -> Who) {
        let Some(tap) = &mut self.into.tap else { return };
        let who = who(flow);
        if !tap.wants(&who) || datagram.wire_len == 0 {
            return;
        }
        tap.piece(&who, datagram.side, Piece::Data(datagram.payload, datagram.place));
        let cut = u64::from(datagram.wire_len).saturating_sub(datagram.payload.len() as u64);
        if cut > 0 {
            tap.piece(&who, datagram.side, Piece::Gap(cut, datagram.place));
        }
    }
}
