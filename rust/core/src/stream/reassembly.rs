//! One direction of a TCP connection, its bytes put in order (RFC 9293, 3.4 and 3.8).
//!
//! Sans-IO: segments go in as they were captured, [`Piece`]s come out in stream order, each byte at most once. What was
//! never captured comes out as a gap of known length, never glued over. Where segments overlap, the bytes that came
//! first win ([`Overlap::First`]); bytes that were handed out already always do.

use super::{Piece, Place};
use std::collections::BTreeMap;

/// Whose bytes count where segments overlap before they were handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// Those that came first.
    #[default]
    First,
    /// Those that came last.
    Last,
}

/// What happened to a stream beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes handed out.
    pub delivered: u64,
    /// Bytes that were never captured.
    pub missing: u64,
    /// Bytes that came again: retransmissions and overlaps.
    pub repeated: u64,
    /// Overlapping bytes that differ from those that were kept. More than none is an evasion or a broken sender.
    pub conflicting: u64,
    /// Bytes before the place where a stream without SYN was taken up, or behind its FIN.
    pub outside: u64,
}

/// Bytes that wait, or a range of which it is known that nobody captured it (`data` empty, cut by the snap length).
#[derive(Debug)]
struct Held {
    len: u64,
    data: Vec<u8>,
    place: Place,
}

/// What a held piece costs beside its bytes, so that many tiny pieces reach the limit too.
const PIECE_COST: usize = 96;

/// The reassembler of one direction.
#[derive(Debug)]
pub struct Reassembler {
    /// Sequence number of stream offset 0.
    base: Option<u32>,
    /// Stream offset of the next byte to hand out.
    next: u64,
    /// Stream offset behind the last byte, once a FIN has told.
    end: Option<u64>,
    held: BTreeMap<u64, Held>,
    held_cost: usize,
    limit: usize,
    overlap: Overlap,
    counts: Counts,
    guessed: bool,
    pub(super) shows_all: bool, // a keep-alive's byte too, where it cannot be told from data
    /// The stream was met midway, and nothing is handed out: bytes before the first ones may still come, out of order.
    floats: bool,
    /// Of what floats: how much of the sequence space in front of the first bytes has a place already.
    room: u64,
}

impl Reassembler {
    /// A stream that holds back at most about `limit` bytes.
    #[must_use]
    pub fn new(limit: usize, overlap: Overlap) -> Self {
        Self {
            base: None,
            next: 0,
            end: None,
            held: BTreeMap::new(),
            held_cost: 0,
            limit,
            overlap,
            counts: Counts::default(),
            guessed: false,
            shows_all: false,
            floats: false,
            room: 0,
        }
    }

    /// Says which sequence number the first byte has; without, the first segment does. Only the first call counts.
    pub fn start(&mut self, seq: u32) {
        self.base.get_or_insert(seq);
    }

    /// Says where the first byte probably is: what the other side acknowledged. The first segment moves the start if it
    /// lies before it and is no keep-alive.
    pub fn guess(&mut self, seq: u32) {
        if self.base.is_none() {
            self.base = Some(seq);
            self.guessed = true;
        }
    }

    /// Says that the stream was met at `seq`, and not where it begins: see [`Reassembler::settles`].
    pub(super) fn float(&mut self, seq: u32) {
        self.guess(seq);
        self.floats = true;
    }

    /// Whether what floats may be handed out, by [`Reassembler::skip_hole`]: the other side has acknowledged some of it, and
    /// so had all before it.
    pub(super) fn settles(&self, ack: u32) -> bool {
        self.floats && self.offset(ack) > self.first_held() as i64
    }

    /// The time of the first bytes that float.
    pub(super) fn floats_since(&self) -> Option<i64> {
        self.held.values().next().filter(|_| self.floats).map(|held| held.place.ts)
    }

    fn first_held(&self) -> u64 {
        self.held.keys().next().copied().unwrap_or(self.next)
    }

    /// Moves the start of what floats before an earlier segment, each time further: all that is held moves too.
    fn reach_back(&mut self, seq: u32) {
        let by = self.offset(seq).unsigned_abs();
        if by > self.limit as u64 {
            return;
        }
        self.room = (2 * self.room + by).min(self.limit as u64);
        let by = by + self.room;
        self.base = Some(seq.wrapping_sub(self.room as u32));
        self.end = self.end.map(|end| end + by);
        self.held = std::mem::take(&mut self.held).into_iter().map(|(at, held)| (at + by, held)).collect();
    }

    /// Where the stream begins, as far as was said: sequence number, and whether that is a guess.
    #[must_use]
    pub(super) fn beginning(&self) -> (Option<u32>, bool) {
        let skipped = if self.floats { self.first_held() } else { 0 };
        (self.base.map(|base| base.wrapping_add(skipped as u32)), self.guessed)
    }

    /// A stream of which that was said.
    pub(super) fn begin_at(&mut self, (base, guessed): (Option<u32>, bool)) {
        (self.base, self.guessed) = (base, guessed);
    }

    /// Whether it is known where the stream begins.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.base.is_some()
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of memory that wait for earlier bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held_cost
    }

    /// Whether the stream is whole: everything up to its FIN was handed out.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.end == Some(self.next)
    }

    /// The stream offset of a sequence number, nearest to the next byte (RFC 9293, 3.4); negative before the start.
    fn offset(&self, seq: u32) -> i64 {
        let base = self.base.unwrap_or(seq);
        let ahead = seq.wrapping_sub(base.wrapping_add(self.next as u32)) as i32;
        (self.next as i64).saturating_add(i64::from(ahead))
    }

    /// Takes a segment: `payload` was captured of the `wire_len` bytes that it had.
    pub fn segment(&mut self, seq: u32, payload: &[u8], wire_len: u32, place: Place, emit: &mut dyn FnMut(Piece<'_>)) {
        if wire_len == 0 {
            return;
        }
        self.base.get_or_insert(seq);
        let is_keep_alive = !self.shows_all && (wire_len, self.offset(seq)) == (1, -1); // RFC 9293, 3.8.4
        if !is_keep_alive && std::mem::take(&mut self.guessed) && self.offset(seq) < 0 {
            self.base = Some(seq);
        }
        if self.floats && self.offset(seq) < 0 {
            self.reach_back(seq);
        }
        let at = self.offset(seq);
        let wire_len = u64::from(wire_len);
        let mut to = at.saturating_add(wire_len as i64).max(0) as u64;
        let payload = &payload[..payload.len().min(wire_len as usize)];
        if let Some(end) = self.end
            && to > end
        {
            self.counts.outside += to - end.max(at.max(0) as u64);
            to = end;
        }
        if to <= self.next {
            self.counts.repeated += wire_len;
            return;
        }
        // What was handed out already is cut off in front.
        let skip = (self.next as i64).saturating_sub(at).max(0) as u64;
        self.counts.repeated += skip;
        let from = self.next.max(at.max(0) as u64);
        if to <= from {
            return; // behind the FIN as a whole
        }
        let payload = payload.get(skip as usize..).unwrap_or(&[]);
        let payload = &payload[..payload.len().min((to - from) as usize)];
        let captured_to = from + payload.len() as u64;

        if from == self.next && !self.floats {
            // In order: straight through, up to what is held already.
            let until = self.held.keys().next().copied().unwrap_or(u64::MAX);
            let direct = captured_to.min(until);
            let (now, later) = payload.split_at((direct - from) as usize);
            self.hand_out(now, place, emit);
            self.hold(direct, later, place);
        } else {
            self.hold(from, payload, place);
        }
        if captured_to < to {
            self.hold_void(captured_to, to, place);
        }
        if !self.floats {
            self.drain(emit);
        }
        while self.held_cost > self.limit {
            self.skip_hole(emit);
        }
    }

    /// Whether nothing waits, and the stream has no end yet: whatever comes next in order is just handed out.
    #[inline]
    #[must_use]
    pub fn is_flowing(&self) -> bool {
        self.held.is_empty() && self.end.is_none()
    }

    /// Takes a segment that [is next](Self::is_flowing), as most are: all that is left to do is to hand its `len` bytes
    /// out. `false` leaves it to [`Reassembler::segment`].
    #[inline]
    #[must_use]
    pub fn next_in_order(&mut self, seq: u32, len: u32) -> bool {
        let next = self.base.map(|base| base.wrapping_add(self.next as u32));
        if next != Some(seq) || self.guessed || !self.is_flowing() {
            return false;
        }
        self.advance(u64::from(len));
        true
    }

    /// Takes a FIN; `seq` is its own sequence number, behind the last byte.
    pub fn fin(&mut self, seq: u32) {
        self.base.get_or_insert(seq);
        let at = self.offset(seq);
        if self.end.is_none() && at >= self.next as i64 {
            self.end = Some(at as u64);
        }
    }

    /// Takes a FIN that was captured before the stream was taken up, unless where that begins is a guess, or it stands
    /// further behind than may wait.
    pub(super) fn fin_before(&mut self, seq: u32) {
        if self.base.is_some() && !self.guessed && self.offset(seq) <= self.limit as i64 {
            self.fin(seq);
        }
    }

    /// Whether a reset of that number can be meant for this connection (RFC 9293, 3.10.7.4; RFC 5961, 3.2): it stands
    /// where the receiver may be, between the next byte and what is behind the last one seen and its FIN.
    pub(super) fn takes_reset(&self, seq: u32) -> bool {
        let seen = self.held.last_key_value().map_or(self.next, |(start, held)| start + held.len);
        let ahead = self.offset(seq).saturating_sub(self.next as i64);
        self.base.is_none() || (0..=(seen - self.next) as i64 + 1).contains(&ahead)
    }

    /// The offset of the first hole, if the other side has acknowledged everything up to what stands behind it: the peer
    /// had these bytes, so the capture lost them.
    #[must_use]
    pub fn passed_hole(&self, ack: u32) -> Option<u64> {
        let behind = *self.held.keys().next()?;
        (behind > self.next && self.offset(ack) >= behind as i64).then_some(self.next)
    }

    /// Ends the stream: what is held is handed out, with the gaps between and up to the FIN.
    pub fn close(&mut self, place: Place, emit: &mut dyn FnMut(Piece<'_>)) {
        while !self.held.is_empty() {
            self.skip_hole(emit);
        }
        if let Some(end) = self.end
            && end > self.next
        {
            self.gap(end - self.next, place, emit);
        }
    }

    /// Gives up the first hole: declares it as a gap and hands out what stands behind it.
    pub fn skip_hole(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        if std::mem::take(&mut self.floats) {
            self.next = self.first_held();
        }
        if let Some((&start, held)) = self.held.first_key_value() {
            let place = held.place;
            if start > self.next {
                self.gap(start - self.next, place, emit);
            }
            self.drain(emit);
        }
    }

    fn gap(&mut self, len: u64, place: Place, emit: &mut dyn FnMut(Piece<'_>)) {
        self.next += len;
        self.counts.missing += len;
        emit(Piece::Gap(len, place));
    }

    fn hand_out(&mut self, bytes: &[u8], place: Place, emit: &mut dyn FnMut(Piece<'_>)) {
        if !bytes.is_empty() {
            self.advance(bytes.len() as u64);
            emit(Piece::Data(bytes, place));
        }
    }

    #[inline]
    fn advance(&mut self, len: u64) {
        self.next += len;
        self.counts.delivered += len;
    }

    fn drain(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        while let Some(entry) = self.held.first_entry() {
            if *entry.key() > self.next {
                return;
            }
            let held = entry.remove();
            self.held_cost -= held.data.len() + PIECE_COST;
            if held.data.is_empty() {
                self.gap(held.len, held.place, emit);
            } else {
                self.hand_out(&held.data, held.place, emit);
            }
        }
    }

    /// Keeps bytes that start at `from`, which is not before the next byte.
    fn hold(&mut self, from: u64, bytes: &[u8], place: Place) {
        if bytes.is_empty() {
            return;
        }
        let to = from + bytes.len() as u64;
        self.compare(from, bytes);
        let last_wins = self.overlap == Overlap::Last;
        self.cut(from, to, |held| last_wins || held.data.is_empty());
        for (a, b) in self.holes(from, to) {
            let part = &bytes[(a - from) as usize..(b - from) as usize];
            self.insert(a, Held { len: b - a, data: part.to_vec(), place });
        }
    }

    /// Keeps the knowledge that nobody captured a range.
    fn hold_void(&mut self, from: u64, to: u64, place: Place) {
        for (a, b) in self.holes(from.max(self.next), to) {
            self.insert(a, Held { len: b - a, data: Vec::new(), place });
        }
    }

    fn insert(&mut self, at: u64, held: Held) {
        self.held_cost += held.data.len() + PIECE_COST;
        self.held.insert(at, held);
    }

    /// The start of the first held piece that can reach behind `from`.
    fn first_near(&self, from: u64) -> u64 {
        self.held.range(..=from).next_back().map_or(from, |(start, _)| *start)
    }

    /// The parts of a range that nothing is held for.
    fn holes(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let mut holes = Vec::new();
        let mut at = from;
        if at >= to {
            return holes;
        }
        for (&start, held) in self.held.range(self.first_near(from)..to) {
            if start > at {
                holes.push((at, start));
            }
            at = at.max(start + held.len);
        }
        if at < to {
            holes.push((at, to));
        }
        holes
    }

    /// Counts bytes that are held already, and those of them that differ.
    fn compare(&mut self, from: u64, bytes: &[u8]) {
        let to = from + bytes.len() as u64;
        let (mut repeated, mut conflicting) = (0, 0);
        for (&start, held) in self.held.range(self.first_near(from)..to) {
            if held.data.is_empty() {
                continue;
            }
            let (a, b) = (start.max(from), (start + held.len).min(to));
            if a >= b {
                continue;
            }
            let ours = &held.data[(a - start) as usize..(b - start) as usize];
            let theirs = &bytes[(a - from) as usize..(b - from) as usize];
            repeated += b - a;
            conflicting += ours.iter().zip(theirs).filter(|(x, y)| x != y).count() as u64;
        }
        self.counts.repeated += repeated;
        self.counts.conflicting += conflicting;
    }

    /// Takes a range out of the held pieces that `which` picks.
    fn cut(&mut self, from: u64, to: u64, which: impl Fn(&Held) -> bool) {
        let touched: Vec<u64> = self
            .held
            .range(self.first_near(from)..to)
            .filter(|(start, held)| *start + held.len > from && which(held))
            .map(|(start, _)| *start)
            .collect();
        for start in touched {
            let Some(held) = self.held.remove(&start) else { continue };
            self.held_cost -= held.data.len() + PIECE_COST;
            let end = start + held.len;
            let part = |a: u64, b: u64| {
                let data =
                    held.data.get((a - start) as usize..(b - start) as usize).map_or_else(Vec::new, <[u8]>::to_vec);
                Held { len: b - a, data, place: held.place }
            };
            if start < from {
                self.insert(start, part(start, from));
            }
            if end > to {
                self.insert(to, part(to, end));
            }
        }
    }
}
