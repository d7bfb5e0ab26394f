//! The rows of a key, one after the other: when the open one is over, and what the next has of it.

use super::flow::UNKNOWN;
use super::key::Keyed;
use super::lookup::{Ahead, Entry, whole};
use super::{EndReason, Share, Tracker, flow, tcp};
use crate::packet::Packet;

/// What the row before says of one that begins on its key.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    /// The originator that it had, if it goes on after the active timeout.
    continues: Option<u8>,
    /// Rows in succession that began at the same time.
    twins: u8,
}

impl Tracker {
    /// The slot of the open flow that this packet belongs to; ends an older one where the rules say so.
    #[inline(always)]
    pub(super) fn slot(&mut self, ahead: &Ahead, share: &Share, packet: Option<&Packet>) -> u32 {
        let Ahead { keyed, hash, .. } = ahead;
        let hash = *hash;
        let found = self.find_ahead(&keyed.key, hash, ahead.slot);
        let mut before = Before::default();
        if let Some(slot) = found {
            let flow = &self.flows[slot as usize];
            let quiet = if share.timed { flow.quiet(share.ts) } else { 0 };
            let anew = packet.is_some_and(|p| p.has_tcp && tcp::begins_anew(flow, usize::from(keyed.from_high), p));
            let idle = quiet > self.options.idle(&flow.key);
            let reason = if flow.closed {
                (anew || idle || quiet > self.options.linger).then_some(flow.end)
            } else if idle {
                Some(EndReason::Idle)
            } else if anew {
                Some(EndReason::Reuse)
            } else if self.options.active.is_some_and(|active| share.timed && share.ts.saturating_sub(flow.ts) > active)
            {
                before.continues = Some(flow.orig);
                Some(EndReason::Active)
            } else {
                None
            };
            let Some(reason) = reason else { return slot };
            // Rows that begin at the same time have the same name otherwise.
            before.twins = if flow.first_ts == share.beginning() { flow.twins.saturating_add(1) } else { 0 };
            self.end(slot, reason);
        }
        self.open_flow(keyed, hash, share, before)
    }

    /// Begins a flow; one that goes on after the active timeout keeps its originator.
    #[inline(never)]
    fn open_flow(&mut self, keyed: &Keyed, hash: u32, share: &Share, before: Before) -> u32 {
        if self.table.len() >= self.options.max_flows {
            self.evict();
        }
        let slot = match self.free.pop() {
            Some(slot) => {
                self.flows.begin_at(slot, &keyed.key, share.ts_or(UNKNOWN));
                slot
            }
            None => self.flows.begin(&keyed.key, share.ts_or(UNKNOWN)),
        };
        let flow = &mut self.flows[slot as usize];
        (flow.first_ts, flow.twins) = (share.beginning(), before.twins);
        if let Some(orig) = before.continues {
            flow.orig = orig;
            flow.seen = flow::seen::SYN_AGAIN; // a mark for `begin`, which clears it
        }
        self.counters.flows += 1;
        self.table.insert_unique(whole(hash), Entry { hash, slot }, Entry::whole);
        slot
    }

    /// Takes a flow out of the table; its row waits in `finished`.
    pub(super) fn end(&mut self, slot: u32, reason: EndReason) {
        let flow = &mut self.flows[slot as usize];
        (flow.end, flow.over) = (reason, true);
        tcp::settle(flow);
        if let Some(streams) = &mut self.streams {
            streams.end(flow);
        }
        let (key, first) = (flow.key, flow.first_frame);
        let hash = self.hash(&key);
        if let Ok(entry) = self.table.find_entry(whole(hash), |other| other.slot == slot) {
            entry.remove();
        }
        self.finished.push((first, slot));
    }
}
