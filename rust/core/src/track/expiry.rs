//! When flows end without a word: idle timeouts, eviction, the end of the input.

use super::clock::SLACK;
use super::{EndReason, Flow, Tracker, tcp};

impl Tracker {
    /// Ends flows that have been quiet for much longer than their timeout, by the time of their own point, so that memory
    /// follows what is open. The slack keeps the result the same as without sweeping, unless timestamps run back by more.
    pub(super) fn sweep(&mut self) {
        let (reached, due) = self.clocks.look();
        if let Some(streams) = &mut self.streams {
            streams.expire(reached);
        }
        // None is due within the slack, so a flow is looked at once a minute of its timeout. By frames and time alone, and
        // not by how many flows there are: part of the flows are swept when all of them would be.
        if !due {
            return;
        }
        let times: Vec<i64> = self.clocks.reached().into_iter().map(|time| time.saturating_sub(SLACK)).collect();
        let latest = times.iter().copied().max().unwrap_or(i64::MIN);
        self.end_quiet(latest, |point| times.get(point as usize).copied().unwrap_or(i64::MIN));
    }

    /// Live captures call this as time passes without packets: ends what has been idle at `now` (ns).
    pub fn expire(&mut self, now: i64) {
        self.give_up_old(now, None);
        if let Some(streams) = &mut self.streams {
            streams.expire(now);
        }
        self.end_quiet(now, |_| now);
    }

    /// Ends what has been quiet for too long at its point's time, which is `latest` at most.
    fn end_quiet(&mut self, latest: i64, time: impl Fn(u32) -> i64) {
        self.clocks.swept();
        let mut ended = Vec::new();
        let old = self.flows.quiet_since(latest.saturating_sub(self.options.shortest()));
        for (slot, flow) in in_memory(old) {
            let quiet = flow.quiet(time(flow.key.point));
            if flow.closed && quiet > self.options.linger {
                ended.push((slot, flow.end));
            } else if quiet > self.options.idle(&flow.key) {
                ended.push((slot, if flow.closed { flow.end } else { EndReason::Idle }));
            }
        }
        for (slot, reason) in ended {
            self.end(slot, reason);
        }
    }

    /// Makes room: the twentieth of the flows that have been quiet the longest.
    pub(super) fn evict(&mut self) {
        let mut slots: Vec<u32> = self.table.iter().map(|entry| entry.slot).collect();
        if slots.is_empty() {
            return;
        }
        let last = (slots.len() / 20).max(1) - 1;
        slots.select_nth_unstable_by_key(last, |slot| {
            let flow = &self.flows[*slot as usize];
            (flow.ts_end, flow.first_frame) // not by slot: which one is free depends on how the input was cut in batches
        });
        for slot in slots.into_iter().take(last + 1) {
            let flow = &self.flows[slot as usize];
            let reason = if flow.closed { flow.end } else { EndReason::Evicted };
            self.counters.evicted_flows += u64::from(reason == EndReason::Evicted);
            self.end(slot, reason);
        }
    }

    /// Ends everything: the input is over.
    pub fn finish(&mut self) {
        self.give_up_old(i64::MAX, None);
        self.finished.reserve(self.table.len());
        self.table.clear();
        // One pass: to bring the flows from memory takes longer than what is done with them.
        for (slot, flow) in self.flows.parts_mut().flat_map(|(first, flows)| (first..).zip(flows)) {
            if flow.over {
                continue;
            }
            if let Some(streams) = &mut self.streams {
                streams.end(flow);
            }
            if !flow.closed {
                let quiet = flow.quiet(self.clocks.last(flow.key.point));
                flow.end = if quiet > self.options.idle(&flow.key) { EndReason::Idle } else { EndReason::Eof };
            }
            tcp::settle(flow);
            flow.over = true;
            self.finished.push((flow.first_frame, slot));
        }
        if let Some(streams) = &mut self.streams {
            streams.close();
        }
    }
}

/// The open flows of some parts and their slots, as they stand in memory: in the table's order each would have to be waited
/// for.
fn in_memory<'a>(parts: impl Iterator<Item = (u32, &'a [Flow])>) -> impl Iterator<Item = (u32, &'a Flow)> {
    parts.flat_map(|(first, flows)| (first..).zip(flows)).filter(|(_, flow)| !flow.over)
}
