//! The time at each capture point, by its own packets: of two interfaces one clock may be ahead, and nothing says so.

use serde::{Deserialize, Serialize};

/// How much longer than its timeout a flow is quiet before it is looked for: times that run back by less change nothing. ns.
pub(super) const SLACK: i64 = 60 * super::options::SECOND;

/// What the frames of one point say of its time, ns.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Clock {
    /// The earliest since the last look.
    earliest: i64,
    /// The earliest between the two looks before at which there were frames.
    before: i64,
    /// The earlier of both: a frame from far ahead says nothing, even if it is alone between two looks.
    reached: i64,
    /// What `reached` was when flows were looked through.
    swept: i64,
    /// The latest frame's.
    last: i64,
}

const UNKNOWN: Clock =
    Clock { earliest: i64::MAX, before: i64::MIN, reached: i64::MIN, swept: i64::MIN, last: i64::MIN };

/// The clocks of all points.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Clocks(Vec<Clock>);

impl Clocks {
    /// A frame of a point.
    #[inline]
    pub fn tick(&mut self, point: u32, ts: i64) {
        let at = point as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, UNKNOWN);
        }
        let clock = &mut self.0[at];
        clock.earliest = clock.earliest.min(ts);
        clock.last = ts;
    }

    /// Looks at the frames since the last look. The earliest time that a point with frames has reached, and whether some
    /// point has gone on by more than [`SLACK`] since flows were looked through.
    pub fn look(&mut self) -> (i64, bool) {
        let (mut all, mut due) = (i64::MAX, false);
        for clock in self.0.iter_mut().filter(|clock| clock.earliest != i64::MAX) {
            clock.reached = clock.earliest.min(clock.before);
            clock.before = std::mem::replace(&mut clock.earliest, i64::MAX);
            all = all.min(clock.reached);
            due |= clock.reached.saturating_sub(clock.swept) > SLACK;
        }
        (if all == i64::MAX { i64::MIN } else { all }, due)
    }

    /// Flows are looked through.
    pub fn swept(&mut self) {
        self.0.iter_mut().for_each(|clock| clock.swept = clock.reached);
    }

    /// What each point has reached.
    pub fn reached(&self) -> Vec<i64> {
        self.0.iter().map(|clock| clock.reached).collect()
    }

    /// The time of a point's latest frame.
    #[inline]
    pub fn last(&self, point: u32) -> i64 {
        self.0.get(point as usize).map_or(i64::MIN, |clock| clock.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_from_far_ahead_moves_no_clock() {
        const DAY: i64 = 86_400 * super::super::options::SECOND;
        let mut clocks = Clocks::default();
        assert_eq!(clocks.look(), (i64::MIN, false));
        let mut spans = |frames: &[(u32, i64)]| {
            frames.iter().for_each(|(point, ts)| clocks.tick(*point, *ts));
            (clocks.look(), clocks.reached())
        };
        assert_eq!(spans(&[(1, 5), (1, 7)]), ((i64::MIN, false), vec![i64::MIN; 2]), "one span says nothing");
        assert_eq!(spans(&[(1, 9), (1, DAY), (1, 10)]), ((5, true), vec![i64::MIN, 5]));
        assert_eq!(spans(&[(1, DAY)]), ((9, true), vec![i64::MIN, 9]));
        assert_eq!(spans(&[(1, 12), (0, 3)]), ((i64::MIN, true), vec![i64::MIN, 12]));
        clocks.swept();
        clocks.tick(1, 13);
        assert_eq!(clocks.look(), (12, false));
        assert_eq!((clocks.last(0), clocks.last(1), clocks.last(2)), (3, 13, i64::MIN));
    }
}
