//! The rules of the flow table. They travel with the table as metadata, since flow counts mean nothing without them.

use super::key::FlowKey;
use crate::app::Wants;
use crate::stream::Limits;
use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// When rows end and how much is kept. Times in nanoseconds of packet time.
#[derive(Clone, Debug)]
pub struct Options {
    /// A TCP flow without packets for longer ends as `idle`.
    pub tcp_idle: i64,
    /// The same for UDP, ICMP and every other IP protocol.
    pub udp_idle: i64,
    /// The same for ARP and every other Ethernet type.
    pub arp_idle: i64,
    /// A flow older than this ends as `active` and goes on in a new row; `None` never (files).
    pub active: Option<i64>,
    /// After a close, packets without SYN still belong to the closed row for this long (TIME_WAIT).
    pub linger: i64,
    /// Open flows at most; the ones longest without packets are evicted beyond, and counted.
    pub max_flows: usize,
    /// Fragmented datagrams that are followed at the same time; the oldest is given up beyond, and counted.
    pub max_fragmented: usize,
    /// Work out each flow's uid when it begins, because rows of packets name it.
    pub uid_per_packet: bool,
    /// What is wanted of the bytes that flows carry.
    pub streams: Wants,
    /// Bounds of what is kept for that.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tcp_idle: 300 * SECOND,
            udp_idle: 60 * SECOND,
            arp_idle: 10 * SECOND,
            active: None,
            linger: 60 * SECOND,
            max_flows: 1 << 20,
            max_fragmented: 1 << 14,
            uid_per_packet: false,
            streams: Wants { facts: true, ..Wants::default() },
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// The rules of a capture that goes on: long flows have a row from time to time.
    #[must_use]
    pub fn live() -> Self {
        Self { active: Some(1800 * SECOND), ..Self::default() }
    }

    /// How long flows of a key may be quiet, ns.
    #[inline]
    pub(super) fn idle(&self, key: &FlowKey) -> i64 {
        match (key.family, key.proto) {
            (4 | 6, 6) => self.tcp_idle,
            (4 | 6, _) => self.udp_idle,
            _ => self.arp_idle,
        }
    }

    /// The shortest time after which any flow ends because nothing comes, ns.
    pub(super) fn shortest(&self) -> i64 {
        self.tcp_idle.min(self.udp_idle).min(self.arp_idle).min(self.linger)
    }

    /// Sets a rule by name: `tcp_idle`, `udp_idle`, `arp_idle`, `active` and `linger` in seconds, `max_flows` and
    /// `max_fragmented` as counts.
    ///
    /// # Errors
    /// A name that is not there, or a value that is no positive number.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), String> {
        const MAX: f64 = 1e9; // seconds: some 30 years
        if !(value > 0.0 && value <= MAX) {
            return Err(format!("{name} = {value}: needs a number above 0 and up to {MAX}"));
        }
        let time = (value * SECOND as f64).round() as i64;
        match name {
            "tcp_idle" => self.tcp_idle = time,
            "udp_idle" => self.udp_idle = time,
            "arp_idle" => self.arp_idle = time,
            "active" => self.active = Some(time),
            "linger" => self.linger = time,
            "max_flows" => self.max_flows = value.ceil() as usize,
            "max_fragmented" => self.max_fragmented = value.ceil() as usize,
            _ => {
                let known = "tcp_idle udp_idle arp_idle active linger max_flows max_fragmented";
                return Err(format!("no flow rule {name:?}; there are: {known}"));
            }
        }
        Ok(())
    }
}

/// What the tracker could not keep within its bounds, and how much it saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Frames seen.
    pub frames: u64,
    /// Rows made.
    pub flows: u64,
    /// Flows ended early because [`Options::max_flows`] was reached.
    pub evicted_flows: u64,
    /// Fragments whose first fragment never came: they count in a row without ports.
    pub orphan_fragments: u64,
    /// Fragmented datagrams given up because [`Options::max_fragmented`] was reached.
    pub evicted_fragments: u64,
}

impl Counters {
    /// All of them by name.
    #[must_use]
    pub fn named(self) -> [(&'static str, u64); 5] {
        [
            ("frames", self.frames),
            ("flows", self.flows),
            ("evicted_flows", self.evicted_flows),
            ("orphan_fragments", self.orphan_fragments),
            ("evicted_fragments", self.evicted_fragments),
        ]
    }
}
