//! One host and what is known of it.

use super::syn;
use crate::decode::Proto;
use crate::neighbor::{Ip, Mac};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Source {
    /// An ARP message.
    Arp,
    /// A Neighbor Discovery message.
    Nd,
    /// A DHCP message.
    Dhcp,
    /// A DNS or mDNS answer.
    Dns,
    /// TCP: a SYN, or an accepted connection.
    Tcp,
    /// An answer from a UDP service.
    Udp,
    /// Any other IP packet.
    Ip,
}

impl Source {
    /// Every source, in order.
    pub const ALL: [Self; 7] = [Self::Arp, Self::Nd, Self::Dhcp, Self::Dns, Self::Tcp, Self::Udp, Self::Ip];

    /// Its name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["arp", "nd", "dhcp", "dns", "tcp", "udp", "ip"][self as usize]
    }
}

/// A port that a host answers on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// IP protocol: 6 or 17.
    pub proto: u8,
    /// Port.
    pub port: u16,
    /// What its content was.
    pub content: Option<Proto>,
}

/// What is new about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum News {
    /// It was not known before.
    New,
    /// Its hardware address.
    Mac,
    /// Its name.
    Hostname,
    /// What its SYNs look like.
    Os,
    /// A port that it answers on, or what is spoken there.
    Ports,
}

impl News {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::New, Self::Mac, Self::Hostname, Self::Os, Self::Ports];

    /// Its name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["new", "mac", "hostname", "os", "ports"][self as usize]
    }
}

/// One host: an address, and the station that says it has it.
#[derive(Clone, Debug)]
pub struct Host {
    /// Which namespace: number for [`super::Hosts::netns`].
    pub netns: u32,
    /// Its address.
    pub ip: Ip,
    /// Its hardware address, as it or its lease said; `None` when nothing told: it may be behind a router.
    pub mac: Option<Mac>,
    /// Who sent its first packet here: itself, or the router that it is behind.
    pub sent_by: Option<Mac>,
    /// First and last packet from or to it, or claim, ns; `None` if the capture recorded no time of them.
    pub first_seen: Option<i64>,
    /// See `first_seen`.
    pub last_seen: Option<i64>,
    /// Packets from and to it.
    pub pkts: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Ports that it answers on.
    pub offers: Vec<Offer>,
    /// Its name and who said so.
    pub hostname: Option<(String, Source)>,
    /// What its SYNs look like.
    pub syn: Option<syn::Syn>,
    /// Bits by [`Source`].
    pub sources: u8,
    /// Bits by [`News`], since they were last taken.
    pub news: u8,
}

impl Host {
    pub(super) fn new(netns: u32, ip: Ip, mac: Option<Mac>) -> Self {
        Self {
            netns,
            ip,
            mac,
            sent_by: None,
            first_seen: None,
            last_seen: None,
            pkts: 0,
            bytes: 0,
            offers: Vec::new(),
            hostname: None,
            syn: None,
            sources: 0,
            news: 0,
        }
    }

    pub(super) fn see(&mut self, ts: Option<i64>, source: Source) {
        if let Some(ts) = ts {
            self.first_seen = Some(self.first_seen.map_or(ts, |first| first.min(ts)));
            self.last_seen = self.last_seen.max(Some(ts));
        }
        self.sources |= 1 << source as u8;
    }

    /// Whether a source told of it.
    #[must_use]
    pub fn has(&self, source: Source) -> bool {
        self.sources & 1 << source as u8 != 0
    }
}
