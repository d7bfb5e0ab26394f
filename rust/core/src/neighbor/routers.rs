//! Which stations forward for others: they send IP packets whose sources they never claimed.

use super::{Ip, Mac, Segment};
use ahash::RandomState;
use hashbrown::HashMap;

/// Different foreign sources that make a router. Some may be a host's own addresses whose claims were not captured: one
/// of IPv4, and of IPv6 those of two networks (its site's and the provider's).
const FOREIGN_V4: usize = 2;
/// See `FOREIGN_V4`; counted by network (/64), of which a host has many addresses (RFC 8981).
const FOREIGN_V6: usize = 3;

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
        if source.is_link_local() || claimed() {
            return;
        }
        let mut source = source;
        if source.family == 6 {
            source.bytes[8..].fill(0);
        }
        if self.sources.len() >= self.max && !self.sources.contains_key(&(segment, mac)) {
            self.sources.clear();
        }
        let known = self.sources.entry((segment, mac)).or_default();
        let enough = if source.family == 6 { FOREIGN_V6 } else { FOREIGN_V4 };
        if of_family(known, source.family) < enough && !known.contains(&source) {
            known.push(source);
        }
    }

    /// Whether a station forwards for others.
    pub fn is_router(&self, segment: Segment, mac: &Mac) -> bool {
        self.sources
            .get(&(segment, *mac))
            .is_some_and(|sources| of_family(sources, 4) >= FOREIGN_V4 || of_family(sources, 6) >= FOREIGN_V6)
    }
}

fn of_family(sources: &[Ip], family: u8) -> usize {
    sources.iter().filter(|source| source.family == family).count()
}
