//! IP fragments: those without ports find their flow through the first fragment (RFC 791, 3.2; RFC 8200, 4.5).

use super::key::FlowKey;
use ahash::RandomState;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// Which datagram a fragment belongs to.
pub type DatagramKey = FlowKey;

/// What is known of a fragmented datagram.
#[derive(Debug)]
pub struct Datagram {
    /// The key that its first fragment gave, once that was seen, and whether it went from the high end.
    pub flow: Option<(FlowKey, bool)>,
    /// Fragments that came before the first one: wait here to be counted.
    pub(super) waiting: Vec<Waiting>,
}

/// What a fragment that waits for its datagram's first will add to the flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting(pub(super) super::Share);

/// A datagram is given up after this long, ns (RFC 1122, 3.3.2: 60 to 120 s; Linux: 30 s).
pub const TIMEOUT: i64 = 60 * super::options::SECOND;

/// Fragments that may wait for one datagram's first: 64 KiB in the smallest fragments that IPv4 allows is more, and hostile.
pub const MAX_WAITING: usize = 64;

/// The datagrams in progress, oldest first, within a bound.
#[derive(Debug, Default)]
pub struct Fragments {
    map: HashMap<DatagramKey, Datagram, RandomState>,
    order: VecDeque<(i64, DatagramKey)>,
}

impl Fragments {
    /// The datagram of this key, made if new.
    pub fn entry(&mut self, key: DatagramKey, ts: i64) -> &mut Datagram {
        self.map.entry(key).or_insert_with(|| {
            self.order.push_back((ts, key));
            Datagram { flow: None, waiting: Vec::new() }
        })
    }

    /// Takes out the oldest datagram if it is older than [`TIMEOUT`] at `now`, or if there are more than `max`;
    /// the flag says that it was the latter.
    pub fn pop_old(&mut self, now: i64, max: usize) -> Option<(DatagramKey, Datagram, bool)> {
        let (ts, _) = self.order.front()?;
        let old = now.saturating_sub(*ts) > TIMEOUT;
        if !old && self.map.len() <= max {
            return None;
        }
        let (_, key) = self.order.pop_front()?;
        self.map.remove(&key).map(|datagram| (key, datagram, !old))
    }
}
