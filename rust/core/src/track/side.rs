//! What is counted for each direction of a flow.

use serde::{Deserialize, Serialize};

/// Smallest, largest and sum of squares of a series of non-negative integers, exact. How many they are and their sum stand
/// elsewhere in a [`Side`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Spread<T> {
    /// Smallest; the largest number there is while empty.
    pub min: T,
    /// Largest.
    pub max: T,
    /// Low half first: in one number it would have to stand at a multiple of 16 bytes.
    squares: [u64; 2],
}

impl Default for Spread<u32> {
    fn default() -> Self {
        Self { min: u32::MAX, max: 0, squares: [0; 2] }
    }
}

impl Default for Spread<u64> {
    fn default() -> Self {
        Self { min: u64::MAX, max: 0, squares: [0; 2] }
    }
}

impl<T: Copy + Ord + Into<u64>> Spread<T> {
    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: T) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let square = u128::from(value.into()) * u128::from(value.into());
        let sum = self.squares().wrapping_add(square);
        self.squares = [sum as u64, (sum >> 64) as u64];
    }

    fn squares(&self) -> u128 {
        u128::from(self.squares[1]) << 64 | u128::from(self.squares[0])
    }

    /// Sample standard deviation (n - 1), as pandas computes it; `None` below two values.
    fn deviation(&self, count: u64, sum: u64) -> Option<f64> {
        if count < 2 {
            return None;
        }
        let wide = u128::from(sum) * u128::from(sum);
        // n * sum(x^2) - sum(x)^2 is exact in integers, so equal values give exactly 0.
        let squares = self.squares();
        let scaled = match u64::try_from(squares) {
            Ok(squares) => Some(u128::from(count) * u128::from(squares)),
            Err(_) => u128::from(count).checked_mul(squares),
        };
        let scaled = match scaled.map(|scaled| scaled.saturating_sub(wide)) {
            Some(exact) => u64::try_from(exact).map_or(exact as f64, |exact| exact as f64),
            None => (count as f64 * squares as f64 - sum as f64 * sum as f64).max(0.0),
        };
        Some((scaled / (count as f64 * (count - 1) as f64)).sqrt())
    }
}

/// One direction's counters and, for TCP, how far its sequence numbers are known. What every packet changes stands in front,
/// in as few cache lines as it fits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct Side {
    /// Packets.
    pub pkts: u64,
    /// Frame bytes on the wire.
    pub bytes: u64,
    /// IP bytes, header included.
    pub ip_bytes: u64,
    /// Bytes carried by the transport header.
    pub payload_bytes: u64,
    /// Latest packet's time.
    pub last_ts: i64,
    /// Frame lengths.
    pub len: Spread<u32>,
    /// Times between packets of this side, ns.
    pub iat: Spread<u64>,
    /// One more than the highest sequence number seen.
    pub next_seq: u32,
    /// Highest acknowledgment sent.
    pub last_ack: u32,
    /// Last window sent.
    pub last_window: u16,
    /// Which history letters this side has had, as a bit set.
    pub letters: u16,
    /// OR of the low 8 TCP flags.
    pub tcp_flags: u8,
    /// Smallest TTL.
    pub ttl_min: u8,
    /// Largest TTL.
    pub ttl_max: u8,
    /// Bits of [`known`].
    pub known: u8,
    /// A FIN was sent.
    pub fin: bool,
    /// The FIN was acknowledged by the other side.
    pub fin_acked: bool,
    /// An RST was sent, and the connection was not closed before.
    pub rst: bool,
    /// A TCP header of this side was read: `tcp_flags` and `win_init` mean something.
    pub has_tcp: bool,
    /// `l2` is known.
    pub has_l2: bool,
    /// Source hardware address of its first packet.
    pub l2: [u8; 6],
    /// First window sent.
    pub win_init: u16,
    /// MSS option of the SYN; 0 if it had none.
    pub mss: u16,
    /// Sequence number of the FIN plus one: what acknowledges it.
    pub fin_end: u32,
    /// Initial sequence number, from SYN.
    pub isn: u32,
    /// First packet's time.
    pub first_ts: i64,
    rare: Option<Box<Rare>>,
}

/// What is known of a side's numbers: bits of [`Side::known`].
pub mod known {
    /// `next_seq`.
    pub const SEQ: u8 = 1;
    /// `last_ack`.
    pub const ACK: u8 = 2;
    /// `isn`.
    pub const ISN: u8 = 4;
    /// That some packet has no recorded time: `last_ts`, `iat` and their kin are of no use.
    pub const UNTIMED: u8 = 8;
}

/// What most sides have nothing of: it takes memory only where it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rare {
    /// Sequence number of the last RST.
    pub rst_seq: u32,
    /// Segments with bytes that were sent before: what `t` in the history counts.
    pub repeats: u32,
    /// Holes that the other side acknowledged: bytes that were received but not captured (`g` in the history).
    pub gaps: u32,
    /// Retransmitted segments.
    pub retrans_pkts: u32,
    /// Segments out of order.
    pub ooo_pkts: u32,
    /// Duplicate acknowledgments sent.
    pub dup_acks: u32,
    /// Segments that announce a zero window.
    pub zero_window: u32,
    /// Packets cut by the snap length.
    pub truncated_pkts: u32,
    /// Sequence ranges missing below `next_seq`.
    pub holes: Holes,
}

static NOTHING: Rare = Rare {
    rst_seq: 0,
    repeats: 0,
    gaps: 0,
    retrans_pkts: 0,
    ooo_pkts: 0,
    dup_acks: 0,
    zero_window: 0,
    truncated_pkts: 0,
    holes: Holes(Vec::new()),
};

impl Side {
    /// Whether numbers are known: bits of [`known`].
    #[must_use]
    #[inline]
    pub fn knows(&self, bits: u8) -> bool {
        self.known & bits == bits
    }

    /// What is rare.
    #[must_use]
    #[inline]
    pub fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NOTHING)
    }

    /// The same, to be changed.
    pub fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The same if there is any.
    #[inline]
    pub fn rare_if_any(&mut self) -> Option<&mut Rare> {
        self.rare.as_deref_mut()
    }

    /// How many times between packets there are.
    #[must_use]
    pub fn iat_count(&self) -> u64 {
        self.pkts.saturating_sub(1)
    }

    /// Their sum, ns: times that run back count as no time passed, so that is what lies between first and latest.
    fn iat_sum(&self) -> u64 {
        self.last_ts.wrapping_sub(self.first_ts) as u64
    }

    /// Mean frame length, bytes; `None` without packets.
    #[must_use]
    pub fn len_mean(&self) -> Option<f64> {
        (self.pkts > 0).then(|| self.bytes as f64 / self.pkts as f64)
    }

    /// Sample standard deviation of frame lengths, bytes; `None` below two packets.
    #[must_use]
    pub fn len_std(&self) -> Option<f64> {
        self.len.deviation(self.pkts, self.bytes)
    }

    /// Mean time between packets, ns; `None` below two packets.
    #[must_use]
    pub fn iat_mean(&self) -> Option<f64> {
        (self.pkts > 1).then(|| self.iat_sum() as f64 / self.iat_count() as f64)
    }

    /// Sample standard deviation of times between packets, ns; `None` below three packets.
    #[must_use]
    pub fn iat_std(&self) -> Option<f64> {
        self.iat.deviation(self.iat_count(), self.iat_sum())
    }
}

/// The newest holes in a side's sequence space, newest last: what tells a late segment from a retransmission.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Holes(Vec<Hole>);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Hole {
    start: u32,
    end: u32,
    /// The other side acknowledged beyond it, so that its bytes are missing from the capture.
    lost: bool,
}

/// Holes that are remembered: as many late segments as senders of ten times that many may have on their way.
const MAX_HOLES: usize = 64;

impl Holes {
    /// Remembers a hole, forgetting the oldest if there are too many.
    pub fn open(&mut self, start: u32, end: u32) {
        self.insert(self.0.len(), Hole { start, end, lost: false });
    }

    fn insert(&mut self, at: usize, hole: Hole) {
        self.0.insert(at, hole);
        if self.0.len() > MAX_HOLES {
            self.0.remove(0);
        }
    }

    /// `true` if a segment from `start` to `end` fills a hole or a part of one; what it covers is no hole any more.
    pub fn fill(&mut self, start: u32, end: u32) -> bool {
        let mut filled = false;
        for at in (0..self.0.len()).rev() {
            let hole = self.0[at];
            if !after(end, hole.start) || !after(hole.end, start) {
                continue;
            }
            filled = true;
            match (after(start, hole.start), after(hole.end, end)) {
                (false, false) => drop(self.0.remove(at)),
                (false, true) => self.0[at].start = end,
                (true, false) => self.0[at].end = start,
                (true, true) => {
                    self.0[at].end = start;
                    self.insert(at + 1, Hole { start: end, ..hole });
                    break; // whatever lies in a hole touches no other
                }
            }
        }
        filled
    }

    /// How many holes end at or below an acknowledgment and were not counted before.
    pub fn acknowledged(&mut self, ack: u32) -> u32 {
        let mut found = 0;
        for hole in self.0.iter_mut().filter(|hole| !hole.lost && !after(hole.end, ack)) {
            hole.lost = true;
            found += 1;
        }
        found
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// `a` is behind `b` in sequence space (RFC 9293, 3.4).
#[inline]
pub(crate) fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The holes as they are, by their beginning.
    fn left(holes: &Holes) -> Vec<(u32, u32)> {
        let mut left: Vec<_> = holes.0.iter().map(|hole| (hole.start, hole.end)).collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn a_segment_fills_every_hole_that_it_covers() {
        let mut holes = Holes::default();
        for start in [100, 300, 500] {
            holes.open(start, start + 100);
        }
        assert!(!holes.fill(200, 300) && !holes.fill(0, 100));
        assert!(holes.fill(50, 150));
        assert_eq!(left(&holes), [(150, 200), (300, 400), (500, 600)]);
        assert!(holes.fill(180, 550));
        assert_eq!(left(&holes), [(150, 180), (550, 600)]);
        assert!(holes.fill(160, 170));
        assert_eq!(left(&holes), [(150, 160), (170, 180), (550, 600)]);
        assert_eq!((holes.acknowledged(180), holes.acknowledged(600)), (2, 1));
        assert!(holes.fill(0, 1000) && left(&holes).is_empty());
    }

    #[test]
    fn holes_are_bounded_the_oldest_is_forgotten() {
        let mut holes = Holes::default();
        (0..1000u32).for_each(|at| holes.open(at * 10, at * 10 + 5));
        assert_eq!(holes.0.len(), MAX_HOLES);
        assert!(!holes.fill(0, 10) && holes.fill(9991, 9993));
        assert_eq!(holes.0.len(), MAX_HOLES);
    }

    #[test]
    fn holes_may_wrap() {
        let mut holes = Holes::default();
        holes.open(u32::MAX - 9, 10);
        assert!(holes.fill(u32::MAX - 20, 0));
        assert_eq!(left(&holes), [(0, 10)]);
    }
}
