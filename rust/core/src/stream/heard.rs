//! What open streams have had of their flows, so that their state can be saved and taken up by another run.
//!
//! A parser's state is not written down: it is what its bytes make it. Where only facts of flows are wanted, a stream is
//! over after a few segments, so what it had is little.

use super::one::{Parser, Stream};
use super::udp::recognise;
use super::watch::index_of;
use super::{Counters, Place, Reassembler, Streams};
use crate::app::{Datagram, Facts, Out, Who};
use crate::packet::Packet;
use crate::stream::datagram::Datagrams;
use crate::track::key::FlowKey;
use serde::{Deserialize, Serialize};

/// Payload after which a stream that has shown no fact yet is given up; a later segment that looks like the beginning of
/// something opens another.
const ENOUGH: usize = 128 << 10;

/// A segment as a stream had it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Segment {
    side: u8,
    seq: u32,
    flags: u16,
    wire_len: u32,
    payload: Vec<u8>,
    place: Place,
}

impl Segment {
    /// Gives it as a datagram to a parser, the first one to one that it begins.
    fn again(&self, parser: &mut Parser, key: &FlowKey, out: &mut Out<'_>) {
        let side = usize::from(self.side & 1);
        let ports = (key.ports[side], key.ports[side ^ 1]);
        let Segment { payload, wire_len, place, .. } = self;
        let datagram = Datagram { payload, wire_len: *wire_len, key, side, ports, place: *place };
        if let Parser::Unknown(..) = parser
            && let Some(new) = recognise(&datagram, &out.wants)
        {
            *parser = Parser::Udp(new);
        }
        if let Parser::Udp(parser) = parser {
            parser.datagram(&datagram, out);
        }
    }
}

/// What a stream has had so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Heard {
    beginnings: [(Option<u32>, bool); 2],
    /// Of a UDP flow: its key.
    key: Option<FlowKey>,
    segments: Vec<Segment>,
    len: usize,
}

impl Heard {
    /// Nothing yet, of a stream that begins with these.
    pub(super) fn from(sides: &[Reassembler; 2]) -> Self {
        Self { beginnings: [sides[0].beginning(), sides[1].beginning()], ..Self::default() }
    }

    /// Counts a segment, and keeps it if asked to; returns how many bytes that are.
    pub(super) fn note(&mut self, keep: bool, side: usize, packet: &Packet, frame: &[u8], place: Place) -> usize {
        let payload = packet.payload_of(frame);
        self.len += payload.len();
        if keep {
            let Packet { tcp_seq: seq, tcp_flags: flags, payload_len: wire_len, .. } = *packet;
            self.segments.push(Segment { side: side as u8, seq, flags, wire_len, payload: payload.to_vec(), place });
        }
        payload.len()
    }

    /// Says that what it has had are the datagrams of that flow.
    pub(super) fn is_of(&mut self, key: FlowKey) {
        self.key = Some(key);
    }

    /// Payload bytes so far.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Nothing more is expected of it.
    pub(super) fn is_enough(&self) -> bool {
        self.len > ENOUGH
    }
}

/// An open stream, written down.
#[derive(Serialize, Deserialize)]
struct SavedStream {
    number: u64,
    who: Who,
    ports: [u16; 2],
    heard: Heard,
}

/// All of them.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedStreams {
    streams: Vec<SavedStream>,
    opened: u64,
    counters: Counters,
    datagrams: Datagrams,
}

impl Streams {
    /// Keeps what streams have from now on, so that they can be saved. Only where nothing but facts is wanted.
    pub(crate) fn keep(&mut self) {
        self.keeps = !self.wants.rows();
    }

    /// The open streams, written down; `None` unless they were kept from the beginning.
    pub(crate) fn save(&self) -> Option<SavedStreams> {
        let saved = |stream: &Stream| SavedStream {
            number: stream.number,
            who: stream.who,
            ports: stream.ports,
            heard: stream.heard.clone(),
        };
        self.keeps.then(|| SavedStreams {
            streams: self.slots.iter().flatten().map(|stream| saved(stream)).collect(),
            opened: self.opened,
            counters: self.counters,
            datagrams: self.datagrams.clone(),
        })
    }

    /// Takes up what was saved.
    pub(crate) fn restore(&mut self, saved: SavedStreams) -> Result<(), String> {
        self.keep();
        self.opened = saved.opened;
        self.datagrams = saved.datagrams;
        for SavedStream { number, who, ports, heard } in saved.streams {
            let index = index_of(number);
            if index >= self.limits.streams.saturating_mul(2) {
                return Err("more streams than are kept".to_owned());
            }
            let limits = self.limits;
            let mut sides = [0, 1].map(|_| Reassembler::new(limits.per_stream, limits.overlap));
            for (side, beginning) in sides.iter_mut().zip(heard.beginnings) {
                side.begin_at(beginning);
            }
            let parser = Parser::Unknown(Default::default(), false);
            let mut stream = Stream::new(number, who, ports, sides, parser);
            let mut packet = Packet::default();
            for segment in &heard.segments {
                let mut facts = Facts::default(); // the flow has them already
                let mut out = self.into.out(self.wants, who, &mut facts);
                if let Some(key) = &heard.key {
                    segment.again(&mut stream.parser, key, &mut out);
                    continue;
                }
                (packet.tcp_seq, packet.tcp_flags) = (segment.seq, segment.flags);
                (packet.payload, packet.payload_len) = (0, segment.wire_len);
                stream.segment(usize::from(segment.side & 1), &packet, &segment.payload, segment.place, &mut out);
            }
            stream.heard = heard;
            self.held += stream.sides[0].held() + stream.sides[1].held();
            self.heard += stream.heard.len();
            self.open += 1;
            if self.slots.len() <= index {
                self.slots.resize_with(index + 1, || None);
            }
            self.slots[index] = Some(Box::new(stream));
        }
        self.free = (0..self.slots.len() as u32).filter(|at| self.slots[*at as usize].is_none()).collect();
        let mut numbers: Vec<u64> = self.slots.iter().flatten().map(|stream| stream.number).collect();
        numbers.sort_unstable();
        self.order = numbers.into();
        self.counters = saved.counters;
        Ok(())
    }
}
