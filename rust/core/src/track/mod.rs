//! Packets to flows: one row per bidirectional conversation, with Zeek's meaning of state and history.
//!
//! The tracker knows no clock: time is the packets' own. Rows are handed out by [`Tracker::finished_order`] once they ended.

mod clock;
mod count;
mod datagram;
mod expiry;
pub mod flow;
pub(crate) mod fragments;
pub mod key;
mod lookup;
pub mod options;
mod parent;
pub mod points;
mod prepare;
mod rows;
mod saved;
pub mod share;
pub mod side;
mod store;
pub mod tcp;
pub mod uid;

pub use flow::{EndReason, Flow};
#[cfg(feature = "table")]
pub(crate) use lookup::whole;
pub use options::{Counters, Options};
pub use points::{Point, Points};
pub use prepare::{Prepared, Preparer};
pub use uid::Uid;

use crate::app::Who;
use crate::decode::Proto;
use crate::frame::{FrameBatch, FrameMeta};
use crate::packet::{NONE, Packet};
use crate::stream::{Place, Streams, Watch, is_first};
use ahash::RandomState;
use clock::Clocks;
use count::{close, count, note_l2};
use datagram::Fragments;
use hashbrown::HashTable;
use lookup::{Ahead, Entry, TOGETHER};
use serde::{Deserialize, Serialize};
use store::Store;

/// The flow table.
pub struct Tracker {
    options: Options,
    points: Points,
    hasher: RandomState,
    table: HashTable<Entry>,
    flows: Store,
    /// What was found ahead of time for the packets to come: kept for its memory.
    keys: Vec<Ahead>,
    free: Vec<u32>,
    /// The ended flows by their first frames, and their slots.
    finished: Vec<(u64, u32)>,
    fragments: Fragments,
    streams: Option<Box<Streams>>,
    /// For datagrams that were put together from fragments.
    scratch: Box<Packet>,
    named: Vec<(u64, Uid)>,
    counters: Counters,
    clocks: Clocks,
}

/// What one frame adds to a flow, whether decoded now or counted later.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Share {
    /// Where it was not recorded, that of a frame before.
    ts: i64,
    number: u64,
    frame_len: u32,
    ip_len: u32,
    payload_len: u32,
    ttl: u8,
    truncated: bool,
    /// The time was recorded.
    timed: bool,
}

impl Share {
    /// Its time; `unknown` if that was not recorded.
    #[inline]
    fn ts_or(&self, unknown: i64) -> i64 {
        if self.timed { self.ts } else { unknown }
    }

    /// What tells a row that begins with it from others of its key: its time or, without one, the frame's number.
    #[inline]
    fn beginning(&self) -> i64 {
        self.ts_or(self.number.cast_signed())
    }
}

/// Frames between two looks for flows that have been quiet for long.
const SWEEP_EVERY: u64 = 4096;

impl Tracker {
    /// An empty table.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let streams = options.streams.any().then(|| Box::new(Streams::new(options.streams, options.limits)));
        Self {
            options,
            streams,
            scratch: Box::default(),
            points: Points::default(),
            hasher: RandomState::new(),
            table: HashTable::new(),
            flows: Store::default(),
            keys: Vec::new(),
            free: Vec::new(),
            finished: Vec::new(),
            fragments: Fragments::default(),
            named: Vec::new(),
            counters: Counters::default(),
            clocks: Clocks::default(),
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The capture points met so far.
    #[must_use]
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// What was seen and what did not fit.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Accounts a batch: `packets[i]` is the decoded `batch.frames[i]`. With `uids`, pushes each frame's flow uid.
    pub fn batch(&mut self, batch: &FrameBatch, packets: &[Packet], mut uids: Option<&mut Vec<Option<Uid>>>) {
        self.points.learn(&batch.interfaces);
        let mut keys = std::mem::take(&mut self.keys);
        keys.resize(TOGETHER, Ahead::default());
        for (metas, packets) in batch.frames.chunks(TOGETHER).zip(packets.chunks(TOGETHER)) {
            let keys = &mut keys[..metas.len()];
            self.keys(batch, metas, packets, keys);
            self.together(batch, metas, packets, keys, uids.as_deref_mut());
        }
        self.keys = keys;
    }

    /// The same with keys that were worked out before, one a frame.
    fn keyed_batch(
        &mut self,
        batch: &FrameBatch,
        packets: &[Packet],
        keys: &mut [Ahead],
        mut uids: Option<&mut Vec<Option<Uid>>>,
    ) {
        self.points.learn(&batch.interfaces);
        let parts = batch.frames.chunks(TOGETHER).zip(packets.chunks(TOGETHER)).zip(keys.chunks_mut(TOGETHER));
        for ((metas, packets), keys) in parts {
            self.together(batch, metas, packets, keys, uids.as_deref_mut());
        }
    }

    /// Accounts some packets with their keys.
    #[inline]
    fn together(
        &mut self,
        batch: &FrameBatch,
        metas: &[FrameMeta],
        packets: &[Packet],
        keys: &mut [Ahead],
        mut uids: Option<&mut Vec<Option<Uid>>>,
    ) {
        self.look_ahead(keys);
        for ((meta, packet), ahead) in metas.iter().zip(packets).zip(&*keys) {
            let slot = self.frame(meta, packet, batch.bytes(meta), ahead);
            if let Some(uids) = uids.as_deref_mut() {
                uids.push(slot.and_then(|slot| self.flows[slot as usize].uid()));
            }
            // By frames and not by batches: the same input gives the same rows however it is cut.
            if self.counters.frames.is_multiple_of(SWEEP_EVERY) {
                self.sweep();
            }
        }
    }

    /// Accounts those frames of a batch that `wanted` picks.
    pub fn some(&mut self, batch: &FrameBatch, packets: &[Packet], wanted: impl Fn(&Packet) -> bool) {
        self.points.learn(&batch.interfaces);
        for (meta, packet) in batch.frames.iter().zip(packets).filter(|(_, packet)| wanted(packet)) {
            let bytes = batch.bytes(meta);
            let key = key::of_packet(packet, bytes, self.points.of(meta.interface));
            let ahead = key.map_or(Ahead::default(), |keyed| self.not_ahead(&keyed));
            self.frame(meta, packet, bytes, &ahead);
            if self.counters.frames.is_multiple_of(SWEEP_EVERY) {
                self.sweep();
            }
        }
    }

    #[inline]
    fn frame(&mut self, meta: &FrameMeta, packet: &Packet, frame: &[u8], ahead: &Ahead) -> Option<u32> {
        self.counters.frames += 1;
        if !meta.ts_missing {
            self.clocks.tick(self.points.of(meta.interface), meta.ts);
        }
        self.give_up_waiting();
        if ahead.is_there { self.keyed(meta, packet, frame, ahead) } else { None }
    }

    /// A frame that has a flow.
    #[inline]
    fn keyed(&mut self, meta: &FrameMeta, packet: &Packet, frame: &[u8], ahead: &Ahead) -> Option<u32> {
        let share = Share {
            ts: meta.ts,
            number: meta.number,
            frame_len: meta.frame_len,
            ip_len: packet.ip_len,
            payload_len: packet.payload_len,
            ttl: packet.ip_ttl,
            truncated: meta.cap_len < meta.frame_len,
            timed: !meta.ts_missing,
        };
        if packet.is_fragment {
            return self.fragment(&ahead.keyed, &share, packet, frame);
        }
        if fragments::is_cut_tunnel(packet, frame) {
            return Some(self.begins_in_tunnel(ahead, &share, packet, frame));
        }
        Some(self.account(ahead, &share, packet, frame))
    }

    /// A decoded packet with its ports: finds or makes its flow and counts it.
    fn account(&mut self, ahead: &Ahead, share: &Share, packet: &Packet, frame: &[u8]) -> u32 {
        let side = usize::from(ahead.keyed.from_high);
        let slot = self.slot(ahead, share, Some(packet));
        let mut flow = &mut self.flows[slot as usize];
        if count(flow, side, share) {
            self.begin(slot, side, packet);
            flow = &mut self.flows[slot as usize];
        }
        note_l2(flow, side, packet, frame);
        if packet.has_tcp {
            tcp::segment(flow, side, share, packet, frame);
            close(flow);
        } else if flow.key.proto == 17 && flow.key.family != 0 {
            flow.letter(side, b'd');
        } else if packet.quoted_ip != NONE && flow.parent().is_none() {
            self.note_parent(slot, packet, frame);
            flow = &mut self.flows[slot as usize];
        }
        if let Some(streams) = &mut self.streams
            && !packet.is_fragment
            && flow.watch != Watch::IGNORED
        {
            let place = Place { ts: share.ts, frame: share.number, timed: share.timed };
            streams.packet(flow, side, packet, frame, place, |flow| who(flow, &self.points));
        }
        if flow.service.is_none()
            && let Some(proto) = packet.last_proto().filter(|proto| proto.is_application())
            && shows_service(&flow.sides[side], packet)
        {
            flow.service = Some(proto);
        }
        slot
    }

    /// Sets what the first packet decides.
    fn begin(&mut self, slot: u32, side: usize, packet: &Packet) {
        let flow = &mut self.flows[slot as usize];
        let continued = flow.seen != 0; // set by `slot` for a row that goes on after the active timeout
        flow.seen = 0;
        if !continued {
            flow.orig = side as u8;
        }
        if packet.has_tcp {
            flow.first_seq = packet.tcp_seq;
            if !continued {
                tcp::first(flow, side, packet);
            }
        }
        if packet.has_icmp {
            (flow.icmp_type, flow.icmp_code, flow.has_icmp) = (packet.icmp_type, packet.icmp_code, true);
        }
        self.name(slot);
    }

    /// Works out the uid of a flow that has had its first packet, if rows of packets ask for it.
    fn name(&mut self, slot: u32) {
        if self.options.uid_per_packet {
            let uid = self.uid_of(&self.flows[slot as usize]);
            self.flows[slot as usize].keep_uid(uid);
        }
    }

    /// The uid of a flow that has had its first packet.
    #[must_use]
    pub fn uid_of(&self, flow: &Flow) -> Uid {
        flow.uid().unwrap_or_else(|| uid_at(flow, &self.points))
    }

    /// Those of several.
    #[must_use]
    pub fn uids_of(&self, flows: &[&Flow]) -> Vec<Uid> {
        if self.options.uid_per_packet {
            return flows.iter().map(|flow| self.uid_of(flow)).collect();
        }
        uid::uids(flows, |flow| self.points.named(flow.key.point))
    }

    /// The streams of the flows, if anything is wanted of them.
    pub fn streams(&mut self) -> Option<&mut Streams> {
        self.streams.as_deref_mut()
    }

    /// What did not fit of the streams, if anything is wanted of them.
    #[must_use]
    pub fn streams_counted(&self) -> Option<crate::stream::Counters> {
        self.streams.as_ref().map(|streams| streams.counters())
    }

    /// How many rows have ended and wait to be taken.
    #[must_use]
    pub fn finished_len(&self) -> usize {
        self.finished.len()
    }

    /// The slots of the ended flows, in order of their first frame.
    #[must_use]
    pub fn finished_order(&mut self) -> Vec<u32> {
        self.finished.sort(); // which takes one pass where the order is right already, as that of slots mostly is
        self.finished.iter().map(|(_, slot)| *slot).collect()
    }

    /// The flow in a slot.
    #[must_use]
    pub fn flow(&self, slot: u32) -> &Flow {
        &self.flows[slot as usize]
    }

    /// Forgets the ended flows that [`Tracker::finished_order`] gave.
    pub fn release(&mut self) {
        self.free.extend(self.finished.drain(..).map(|(_, slot)| slot));
    }

    /// Fragments whose flow was not known when their frame was accounted, and is now: (which frame of those seen by this
    /// tracker, from 1; uid). Only with [`Options::uid_per_packet`].
    pub fn take_named(&mut self) -> Vec<(u64, Uid)> {
        std::mem::take(&mut self.named)
    }

    /// The earliest frame, counted likewise, whose flow is not known yet.
    #[must_use]
    pub fn earliest_unnamed(&self) -> Option<u64> {
        self.fragments.earliest_waiting()
    }

    /// Every flow that is still open, in order of its first frame: a live view.
    #[must_use]
    pub fn open(&self) -> Vec<&Flow> {
        let mut flows: Vec<&Flow> = self.table.iter().map(|entry| &self.flows[entry.slot as usize]).collect();
        flows.sort_unstable_by_key(|flow| flow.first_frame);
        flows
    }
}

fn uid_at(flow: &Flow, points: &Points) -> Uid {
    uid::uid(flow, points.named(flow.key.point))
}

/// Whether what a packet looks like is what its flow is: TCP whose beginning is known shows itself in the first bytes of a
/// side. What looks like another protocol later may be part of anything; streams know better.
fn shows_service(own: &side::Side, packet: &Packet) -> bool {
    !packet.has_tcp || !own.knows(side::known::ISN) || is_first(own, packet)
}

/// Whose rows those of a flow are. Works the uid out once.
fn who(flow: &Flow, points: &Points) -> Who {
    Who {
        uid: flow.uid().unwrap_or_else(|| uid_at(flow, points)),
        point: flow.key.point,
        family: flow.key.family,
        proto: flow.key.proto,
        orig: *flow.orig_addr(),
        orig_p: flow.orig_port(),
        resp: *flow.resp_addr(),
        resp_p: flow.resp_port(),
        orig_side: flow.orig,
    }
}

impl Proto {
    /// An application named by content: what the `service` column shows.
    #[must_use]
    pub fn is_application(self) -> bool {
        matches!(self, Proto::Http | Proto::Dns | Proto::Tls)
    }
}
