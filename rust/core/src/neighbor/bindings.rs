//! Which station held which address, and when.

use super::{Ip, Mac, Segment, oldest_quarter};
use ahash::RandomState;
use hashbrown::HashMap;

/// Stations that are remembered for one address; beyond, the one heard longest ago is forgotten.
const MAX_HOLDERS: usize = 4;

/// A station that claimed an address.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    /// Hardware address.
    pub mac: Mac,
    /// First and last claim, ns.
    pub first: i64,
    /// Last claim, ns.
    pub last: i64,
    /// Last answer, and to whom.
    pub answered: Option<(i64, Ip)>,
}

/// What is known of one address.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Who claimed it, in order of their first claim.
    pub holders: Vec<Holder>,
    /// Who claimed it last: index into `holders`.
    pub current: usize,
    /// The first holder was or is a router.
    pub gateway: bool,
}

impl Binding {
    /// Last claim by anybody, ns.
    pub fn last(&self) -> i64 {
        self.holders.iter().map(|holder| holder.last).max().unwrap_or(i64::MIN)
    }

    /// The index of a station, added if it is not there.
    pub fn holder(&mut self, mac: &Mac, ts: i64) -> usize {
        if let Some(at) = self.holders.iter().position(|holder| holder.mac == *mac) {
            return at;
        }
        if self.holders.len() == MAX_HOLDERS {
            // Never the first, whose address it is, nor the current one.
            let oldest =
                (1..MAX_HOLDERS).filter(|at| *at != self.current).min_by_key(|at| self.holders[*at].last).unwrap_or(1);
            self.holders.remove(oldest);
            self.current -= usize::from(self.current > oldest);
        }
        self.holders.push(Holder { mac: *mac, first: ts, last: ts, answered: None });
        self.holders.len() - 1
    }
}

/// An address and its stations, as it is kept between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Namespace of the capture point, when known.
    pub netns: Option<String>,
    /// Interface of the capture point, when known.
    pub interface: Option<String>,
    /// VLAN ids, packed: see [`crate::track::key::pack_vlans`].
    pub vlans: u64,
    /// Virtual network, or [`crate::packet::NONE`].
    pub vni: u32,
    /// The address.
    pub ip: Ip,
    /// Station, first and last claim (ns), in order of their first claim.
    pub holders: Vec<(Mac, i64, i64)>,
    /// Which of them claimed it last.
    pub current: usize,
    /// The first of them is a router.
    pub gateway: bool,
}

/// The table of addresses, bounded: when it is full, the quarter that was heard longest ago is forgotten.
#[derive(Debug)]
pub struct Bindings {
    table: HashMap<(Segment, Ip), Binding, RandomState>,
    max: usize,
    /// How many were forgotten.
    pub evicted: u64,
}

impl Bindings {
    /// An empty table.
    pub fn new(max: usize) -> Self {
        Self { table: HashMap::default(), max: max.max(4), evicted: 0 }
    }

    /// What is known of an address.
    pub fn get(&mut self, key: &(Segment, Ip)) -> Option<&mut Binding> {
        self.table.get_mut(key)
    }

    /// Whether a station claimed an address before.
    pub fn holds(&self, key: &(Segment, Ip), mac: &Mac) -> bool {
        self.table.get(key).is_some_and(|binding| binding.holders.iter().any(|holder| holder.mac == *mac))
    }

    /// Adds an address.
    pub fn insert(&mut self, key: (Segment, Ip), binding: Binding) {
        if self.table.len() >= self.max
            && let Some(limit) = oldest_quarter(self.table.values().map(Binding::last).collect())
        {
            let before = self.table.len();
            self.table.retain(|_, binding| binding.last() > limit);
            self.evicted += (before - self.table.len()) as u64;
        }
        self.table.insert(key, binding);
    }

    /// Everything, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&(Segment, Ip), &Binding)> {
        self.table.iter()
    }
}
