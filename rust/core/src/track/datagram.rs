//! What is known of IP datagrams in fragments, within bounds (RFC 791, 3.2; RFC 8200, 4.5).

use super::Share;
use super::key::{FlowKey, Keyed};
use super::tcp::Cut;
use ahash::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Which datagram a fragment belongs to.
pub type DatagramKey = FlowKey;

/// Where a fragment stands in what its datagram carries.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) start: u32,
    pub(super) end: u32,
    /// No more fragments follow.
    pub(super) last: bool,
    /// Protocol that its IP header names.
    pub(super) proto: u8,
}

/// What the first fragment says of the others.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct First {
    pub(super) keyed: Keyed,
    /// Where they stand in sequence space, for TCP.
    pub(super) cut: Option<Cut>,
}

/// What is known of a fragmented datagram.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Datagram {
    /// Time of the fragment with which it began, ns.
    since: i64,
    /// Time of its latest one, ns.
    latest: i64,
    /// What its first fragment gave, once that was seen.
    pub(super) first: Option<First>,
    /// Fragments that came before the first one: wait here to be counted.
    pub(super) waiting: Vec<Waiting>,
    /// Which of its bytes came: ranges in order, none touching another, up to [`MAX_PARTS`].
    parts: Vec<(u32, u32)>,
    /// How many there are, once that is known.
    total: Option<u32>,
}

/// A fragment that waits for its datagram's first: what it will add to the flow, which frame it was, and where it stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) share: Share,
    pub(super) frame: u64,
    pub(super) part: Part,
}

/// A datagram is given up after this long, ns (RFC 1122, 3.3.2: 60 to 120 s; Linux: 30 s).
pub(super) const TIMEOUT: i64 = 60 * super::options::SECOND;

/// Within this long of its latest fragment, ns, another one of the same bytes is a repetition, and another beginning of one that
/// is not whole an overlap; else the identification is used anew. No sender may do so as soon as this (RFC 6864, 4.3).
const REPEATED: i64 = super::options::SECOND / 10;

/// Fragments that may wait for one datagram's first: 64 KiB in the smallest fragments that IPv4 allows is more, and hostile.
pub(super) const MAX_WAITING: usize = 64;

/// Separate ranges of a datagram that are known; one of more at a time is never whole.
const MAX_PARTS: usize = 64;

/// Frames that may come between a fragment and the first of its datagram. Counted in frames and not in batches, so that the
/// same input gives the same rows however it is read; rows of packets wait as long to learn their flow.
pub(super) const MAX_FRAMES_BETWEEN: u64 = 1 << 16;

impl Datagram {
    fn new(ts: i64) -> Self {
        Self { since: ts, latest: ts, first: None, waiting: Vec::new(), parts: Vec::new(), total: None }
    }

    fn is_whole(&self) -> bool {
        self.total.is_some_and(|total| self.has(0, total))
    }

    fn has(&self, start: u32, end: u32) -> bool {
        self.parts.iter().any(|part| part.0 <= start && end <= part.1)
    }

    /// Whether a fragment is of another datagram, which has the same key.
    fn is_over(&self, part: &Part, ts: i64) -> bool {
        let soon = ts.saturating_sub(self.latest) <= REPEATED;
        let anew = if self.is_whole() {
            !(soon && self.has(part.start, part.end))
        } else {
            !soon && part.start == 0 && self.first.is_some()
        };
        anew || ts.saturating_sub(self.since) > TIMEOUT
    }

    /// Joins the fragment with the ranges that it touches or overlaps: bytes that come twice count once.
    fn add(&mut self, part: &Part, ts: i64) {
        self.latest = ts;
        if part.last {
            self.total = Some(part.end);
        }
        let from = self.parts.partition_point(|(_, end)| *end < part.start);
        let to = self.parts.partition_point(|(start, _)| *start <= part.end);
        let joined = self.parts[from..to]
            .iter()
            .fold((part.start, part.end), |(start, end), other| (start.min(other.0), end.max(other.1)));
        if from < to || self.parts.len() < MAX_PARTS {
            self.parts.splice(from..to, [joined]);
        }
    }
}

/// The datagrams in progress, oldest first, within a bound.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Fragments {
    map: HashMap<DatagramKey, Datagram, RandomState>,
    /// By the time at which they were put here: those that began anew since are put here again.
    order: VecDeque<(i64, DatagramKey)>,
    /// Datagrams with waiting fragments, by the frame of the earliest; answered ones are dropped when they come first.
    waiting: VecDeque<(u64, DatagramKey)>,
}

impl Fragments {
    /// The datagram of a fragment. With what waited for the first of another one of the same key, which is given up for it.
    pub(super) fn of(&mut self, key: &DatagramKey, part: &Part, ts: i64) -> (&mut Datagram, Option<Vec<Waiting>>) {
        let mut over = None;
        let datagram = self.map.entry(*key).or_insert_with(|| {
            self.order.push_back((ts, *key));
            Datagram::new(ts)
        });
        if datagram.is_over(part, ts) {
            let before = std::mem::replace(datagram, Datagram::new(ts));
            over = Some(before.waiting).filter(|waiting| !waiting.is_empty());
        }
        datagram.add(part, ts);
        (datagram, over)
    }

    /// A fragment waits for the first of its datagram, the first one that does.
    pub(super) fn begins_to_wait(&mut self, frame: u64, key: &DatagramKey) {
        self.waiting.push_back((frame, *key));
    }

    /// Takes out the oldest datagram if it is older than [`TIMEOUT`] at `now`, or if there are more than `max`; the flag says
    /// that it was the latter. With a point, `now` is the time there and says nothing of others.
    pub(super) fn pop_old(
        &mut self,
        now: i64,
        point: Option<u32>,
        max: usize,
    ) -> Option<(DatagramKey, Datagram, bool)> {
        loop {
            let (put, key) = *self.order.front()?;
            let here = point.is_none_or(|point| point == key.point);
            let old = here && now.saturating_sub(put) > TIMEOUT;
            if !old && self.map.len() <= max {
                return None;
            }
            self.order.pop_front();
            let since = self.map.get(&key).map_or(put, |datagram| datagram.since);
            if since != put {
                self.order.push_back((since, key));
                continue;
            }
            let datagram = self.map.remove(&key)?;
            self.trim();
            let lacks = !datagram.is_whole();
            return Some((key, datagram, !old && lacks));
        }
    }

    /// Drops answered datagrams from the front of the queue of those that wait.
    pub(super) fn trim(&mut self) {
        while let Some((frame, key)) = self.waiting.front() {
            let first = self.map.get(key).and_then(|datagram| datagram.waiting.first());
            if first.is_some_and(|first| first.frame == *frame) {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// The earliest frame that waits.
    #[inline]
    pub(super) fn earliest_waiting(&self) -> Option<u64> {
        self.waiting.front().map(|(frame, _)| *frame)
    }

    /// Takes the waiting fragments of the datagram that waits the longest.
    pub(super) fn take_earliest(&mut self) -> Option<(DatagramKey, Vec<Waiting>)> {
        let (_, key) = self.waiting.pop_front()?;
        let datagram = self.map.get_mut(&key)?;
        let taken = (key, std::mem::take(&mut datagram.waiting));
        self.trim();
        Some(taken)
    }
}
