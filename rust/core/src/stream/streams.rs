//! The streams of all open flows.

use super::datagram::Datagrams;
use super::glance::{asks, beginning, first_byte, glance, is_beginning, is_first, keep_facts, unasked};
use super::one::{Parser, Start, Stream};
use super::watch::{Watch, index_of};
use super::{Counters, Limits, Place, Reassembler};
use crate::app::dns::Multicast;
use crate::app::raw::{Raw, Tap};
use crate::app::spool::Directory;
use crate::app::{Facts, Kept, Looks, OVER_TCP, Out, Row, Wants, Who};
use crate::packet::Packet;
use crate::track::Flow;
use crate::track::side::known;
use crate::track::tcp::ACK;
use std::collections::VecDeque;

/// All streams.
pub struct Streams {
    pub(super) wants: Wants,
    pub(super) limits: Limits,
    pub(super) slots: Vec<Option<Box<Stream>>>,
    pub(super) free: Vec<u32>,
    pub(super) order: VecDeque<u64>,
    pub(super) opened: u64,
    pub(super) open: usize,
    pub(super) held: usize,
    pub(super) counters: Counters,
    pub(super) into: Into,
    /// Payload bytes that the open streams have had.
    pub(super) heard: usize,
    /// What they had is kept, so that they can be saved.
    pub(super) keeps: bool,
    pub(crate) datagrams: Datagrams,
    /// Facts of segments to come, by frame.
    told: VecDeque<(u64, Kept)>,
}

/// Where what is found goes.
#[derive(Default)]
pub(super) struct Into {
    rows: Vec<Row>,
    multicast: Multicast,
    files: Option<Directory>,
    pub(super) tap: Option<Box<dyn Tap>>,
}

impl Into {
    pub(super) fn out<'a>(&'a mut self, wants: Wants, who: Who, facts: &'a mut Facts) -> Out<'a> {
        let Self { rows, multicast, files, tap } = self;
        let tap = tap.as_deref_mut().map(|tap| tap as _);
        Out { wants, who, facts, rows, multicast, files: files.as_mut(), tap }
    }
}

impl Streams {
    /// No streams yet.
    #[must_use]
    pub fn new(wants: Wants, limits: Limits) -> Self {
        Self {
            wants,
            limits,
            slots: Vec::new(),
            free: Vec::new(),
            order: VecDeque::new(),
            opened: 0,
            open: 0,
            held: 0,
            counters: Counters::default(),
            into: Into::default(),
            heard: 0,
            keeps: false,
            datagrams: Datagrams::default(),
            told: VecDeque::new(),
        }
    }

    /// Writes bodies or streams to files from now on.
    pub fn write_to(&mut self, files: Directory) {
        self.into.files = Some(files);
    }

    /// Hands streams to a listener from now on.
    pub fn listen(&mut self, tap: Box<dyn Tap>) {
        self.into.tap = Some(tap);
    }

    /// What did not fit so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Streams that are open, and bytes that they hold back behind holes.
    #[must_use]
    pub fn in_memory(&self) -> (usize, usize) {
        (self.open, self.held)
    }

    /// The rows that are over.
    pub fn rows(&mut self) -> &mut Vec<Row> {
        &mut self.into.rows
    }

    /// The earliest frame of a row that is still to come.
    #[must_use]
    pub fn oldest_open(&self) -> Option<u64> {
        let oldest = |stream: &Stream| match &stream.parser {
            Parser::Tcp(parser) => parser.oldest_open(),
            Parser::Udp(parser) => parser.oldest_open(),
            Parser::Unknown(starts, _) => starts.iter().filter_map(Start::first).min(),
            Parser::Raw(_) | Parser::None => None,
        };
        let streams = self.slots.iter().flatten().filter_map(|stream| oldest(stream));
        streams.chain(self.into.multicast.oldest_open()).min()
    }

    /// Time has passed, until `now` (ns): what waits for other flows may be over.
    pub fn expire(&mut self, now: i64) {
        self.into.multicast.expire(now, &mut self.into.rows);
    }

    /// The input is over, and every flow has ended.
    pub fn close(&mut self) {
        self.into.multicast.finish(&mut self.into.rows);
    }

    /// A packet of a flow that is not [`Watch::IGNORED`]. `who` works out whose it is, when that is asked for first.
    #[inline]
    pub fn packet(
        &mut self,
        flow: &mut Flow,
        side: usize,
        packet: &Packet,
        frame: &[u8],
        place: Place,
        who: impl FnOnce(&Flow) -> Who,
    ) {
        // Facts are the flow's own: nothing is made of whose they are, and a uid takes a hash.
        let rows = self.wants.rows();
        let who = |flow: &Flow| if rows { who(flow) } else { Who::default() };
        if packet.has_tcp {
            if !flow.watch.is_open() {
                let told = self.told(place.frame);
                let wanted = packet.payload_len > 0 && (told.is_some() || self.looks_wanted(flow, side, packet, frame));
                if !wanted || glance(&self.wants, flow, side, packet, frame, told) {
                    return;
                }
            }
            self.segment(flow, side, packet, frame, place, who);
        } else if packet.ip_proto == 17 && packet.has_ports {
            self.datagram(flow, side, packet, frame, place, who);
        }
    }

    /// Takes facts of segments by frame, in order, that another thread has found: see [`tell`](super::tell).
    pub fn hear(&mut self, told: impl Iterator<Item = (u64, Kept)>) {
        self.told.clear();
        self.told.extend(told);
    }

    /// What it has found in a frame, if it has.
    fn told(&mut self, frame: u64) -> Option<Kept> {
        while self.told.front().is_some_and(|(other, _)| *other < frame) {
            self.told.pop_front();
        }
        if self.told.front()?.0 == frame { self.told.pop_front().map(|(_, facts)| facts) } else { None }
    }

    /// Whether the first segment seen of a side, or one that its decoder has named, is worth a stream.
    fn looks_wanted(&self, flow: &Flow, side: usize, packet: &Packet, frame: &[u8]) -> bool {
        if self.wants.raw {
            return true;
        }
        let payload = packet.payload_of(frame);
        let own = &flow.sides[side];
        let ports = (packet.src_port, packet.dst_port);
        let mut perhaps = false;
        for protocol in OVER_TCP.iter().filter(|one| (one.wanted)(&self.wants)) {
            match (protocol.looks)(payload, ports) {
                Looks::Client | Looks::Server => return true,
                Looks::Perhaps => perhaps = true,
                Looks::No => {}
            }
        }
        // The first bytes of a side: too few, or not the first of the stream, because segments came out of order.
        if !is_first(own, packet) || !own.knows(known::ISN) {
            return false;
        }
        let begins = own.isn.wrapping_add(1).wrapping_sub(packet.tcp_flags as u32 >> 1 & 1) == packet.tcp_seq;
        !begins || perhaps
    }

    fn segment(
        &mut self,
        flow: &mut Flow,
        side: usize,
        packet: &Packet,
        frame: &[u8],
        place: Place,
        who: impl FnOnce(&Flow) -> Who,
    ) {
        let is_evicted = flow.watch != Watch::UNDECIDED && find(&mut self.slots, flow.watch).is_none();
        // Of a stream that was given up the rest is another once there is room, as it is: parsers need the beginning.
        let goes_on = self.wants.raw && packet.payload_len > 0 && self.open < self.limits.streams;
        if flow.watch == Watch::UNDECIDED || is_evicted && goes_on {
            self.begin(flow, side, packet, frame, is_evicted, who);
        }
        let Some(stream) = find(&mut self.slots, flow.watch) else {
            flow.watch = if is_evicted && self.wants.raw { flow.watch } else { Watch::IGNORED };
            return;
        };
        let only_facts = !self.wants.rows();
        if only_facts {
            self.heard += stream.heard.note(self.keeps, side, packet, frame, place);
        }
        let mut facts = Facts::default();
        let mut out = self.into.out(self.wants, stream.who, &mut facts);
        let before = stream.held();
        let keep = stream.segment(side, packet, frame, place, &mut out);
        let too_much = only_facts && stream.heard.is_enough();
        self.held = self.held + stream.held() - before;
        keep_facts(flow, facts);
        if !keep || too_much {
            let again = if self.wants.rows() || flow.facts.is_none() { Watch::UNDECIDED } else { Watch::IGNORED };
            let over = !keep && matches!(stream.parser, Parser::None);
            self.drop_stream(flow.watch);
            flow.watch = if over { Watch::IGNORED } else { again };
        } else if self.held > self.limits.in_all {
            self.make_room();
        } else if self.heard > self.limits.in_all {
            self.evict_oldest();
        }
    }

    /// Opens a stream for a flow; `is_rest`: for what is left of it.
    fn begin(
        &mut self,
        flow: &mut Flow,
        side: usize,
        packet: &Packet,
        frame: &[u8],
        is_rest: bool,
        who: impl FnOnce(&Flow) -> Who,
    ) {
        let limits = self.limits;
        let mut sides = [0, 1].map(|_| Reassembler::new(limits.per_stream, limits.overlap));
        sides.iter_mut().for_each(|stream| stream.shows_all = self.wants.raw);
        if self.wants.raw && !flow.sides[side].knows(known::ISN) && is_first(&flow.sides[side], packet) {
            sides[side].float(first_byte(packet));
        } else {
            sides[side].start(beginning(flow, side, packet));
        }
        let other = &flow.sides[side ^ 1];
        let from_start = is_beginning(flow, side, packet);
        let is_acked = packet.tcp_flags & ACK != 0;
        // From the start, what is acknowledged and was not captured is a hole: what came in it may have been messages. If it
        // is more than a stream holds back, the SYN was nobody's.
        let begins = other.isn.wrapping_add(1);
        let fits = from_start && packet.tcp_ack.wrapping_sub(begins) as usize <= limits.per_stream;
        if other.knows(known::ISN) && (!is_acked || fits) {
            sides[side ^ 1].start(begins);
        } else if is_acked && !self.wants.raw && asks(&self.wants, packet, frame) {
            // What a request acknowledges, and what was sent before it arrived, does not answer it.
            sides[side ^ 1].start(unasked(other, packet));
        } else if is_acked {
            sides[side ^ 1].guess(packet.tcp_ack);
        }
        // Facts need no end, and a stream that is saved says nothing of it.
        for (own, stream) in
            flow.sides.iter().zip(&mut sides).filter(|(own, _)| own.fin && !own.rst && self.wants.rows())
        {
            stream.fin_before(own.fin_end.wrapping_sub(1));
        }
        let who = who(flow);
        let parser = if self.wants.raw {
            if self.into.tap.as_mut().is_some_and(|tap| !tap.wants(&who)) {
                flow.watch = Watch::IGNORED;
                return;
            }
            Parser::Raw(Box::new(Raw::new(is_rest)))
        } else {
            Parser::Unknown(Default::default(), from_start)
        };
        flow.watch = self.open(who, flow.key.ports, sides, parser);
    }

    pub(super) fn open(&mut self, who: Who, ports: [u16; 2], sides: [Reassembler; 2], parser: Parser) -> Watch {
        if self.open >= self.limits.streams {
            self.evict_oldest();
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.opened += 1;
        self.open += 1;
        self.counters.streams += 1;
        let number = self.opened << 32 | u64::from(index);
        self.slots[index as usize] = Some(Box::new(Stream::new(number, who, ports, sides, parser)));
        if self.order.len() > 2 * self.limits.streams {
            let slots = &self.slots;
            self.order.retain(|number| slots[index_of(*number)].as_ref().is_some_and(|one| one.number == *number));
        }
        self.order.push_back(number);
        Watch(number)
    }

    pub(super) fn evict_oldest(&mut self) {
        while let Some(number) = self.order.pop_front() {
            if find(&mut self.slots, Watch(number)).is_some() {
                self.counters.evicted_streams += 1;
                self.finish(Watch(number));
                return;
            }
        }
    }

    /// Too much waits behind holes: the streams that hold most give up theirs.
    fn make_room(&mut self) {
        let mut largest: Vec<(usize, usize)> =
            self.slots.iter().enumerate().filter_map(|(at, slot)| slot.as_ref().map(|s| (s.held(), at))).collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        for (held, at) in largest {
            if self.held <= self.limits.in_all / 4 * 3 {
                return;
            }
            let Some(stream) = &mut self.slots[at] else { continue };
            let mut facts = Facts::default();
            let mut out = self.into.out(self.wants, stream.who, &mut facts);
            for side in [0, 1] {
                stream.skip_holes(side, &mut out);
            }
            self.counters.evicted_holes += 1;
            self.held = self.held + stream.held() - held;
        }
    }

    /// A flow is over.
    pub fn end(&mut self, flow: &mut Flow) {
        if flow.watch.is_open() {
            let facts = self.finish(flow.watch);
            keep_facts(flow, facts);
        }
        flow.watch = Watch::IGNORED;
    }

    pub(super) fn finish(&mut self, watch: Watch) -> Facts {
        let mut facts = Facts::default();
        let Some(stream) = find(&mut self.slots, watch) else { return facts };
        let mut out = self.into.out(self.wants, stream.who, &mut facts);
        let held = stream.held();
        stream.finish(&mut out);
        self.held = (self.held + stream.held()).saturating_sub(held);
        self.drop_stream(watch);
        facts
    }

    fn drop_stream(&mut self, watch: Watch) {
        if let Some(stream) = find(&mut self.slots, watch) {
            self.held = self.held.saturating_sub(stream.held());
            self.heard -= stream.heard.len();
            for side in &stream.sides {
                self.counters.missing += side.counts().missing;
                self.counters.conflicting += side.counts().conflicting;
            }
            let index = index_of(watch.0);
            self.slots[index] = None;
            self.free.push(index as u32);
            self.open -= 1;
        }
    }
}

pub(super) fn find(slots: &mut [Option<Box<Stream>>], watch: Watch) -> Option<&mut Stream> {
    slots.get_mut(index_of(watch.0))?.as_deref_mut().filter(|stream| stream.number == watch.0)
}
