//! Which stations forward for others: they send IP packets whose sources they never claimed.

use super::{Ip, Mac, Segment};
use ahash::RandomState;
use hashbrown::HashMap;

/// Different foreign sources that make a router: one may be an address whose claim was not captured.
const FOREIGN_SOURCES: usize = 2;

/// Stations and the foreign sources seen from them. Bounded: when it is full it is cleared, and learns anew.
#[derive(Debug)]
pub struct Routers {
    sources: HashMap<(Segment, Mac), Vec<Ip>, RandomState>,
    /// The last station and source looked at: packets come in runs.
    last: Option<(Segment, Mac, Ip)>,
    max: usize,
}

impl Routers {
    /// Nobody is known.
    pub fn new(max: usize) -> Self {
        Self { sources: HashMap::default(), last: None, max }
    }

    /// Notes a packet from `source` that `mac` sent. `claimed` says whether it ever claimed that address.
    #[inline]
    pub fn note(&mut self, segment: Segment, mac: Mac, source: Ip, claimed: impl FnOnce() -> bool) {
        if self.last == Some((segment, mac, source)) {
            return;
        }
        self.last = Some((segment, mac, source));
        if claimed() {
            return;
        }
        if self.sources.len() >= self.max && !self.sources.contains_key(&(segment, mac)) {
            self.sources.clear();
        }
        let known = self.sources.entry((segment, mac)).or_default();
        if known.len() < FOREIGN_SOURCES && !known.contains(&source) {
            known.push(source);
        }
    }

    /// Whether a station forwards for others.
    pub fn is_router(&self, segment: Segment, mac: &Mac) -> bool {
        self.sources.get(&(segment, *mac)).is_some_and(|sources| sources.len() >= FOREIGN_SOURCES)
    }
}
