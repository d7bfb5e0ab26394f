//! Who is there, without asking: every address that speaks, and what its traffic tells of it.
//!
//! Sources are ARP and Neighbor Discovery (hardware address), DHCP (name, lease), DNS and mDNS answers (name), TCP
//! (what is offered, what kind of system a SYN comes from). Each value remembers its source.

mod host;
mod said;
pub mod syn;

pub use host::{Host, News, Offer, Source};

use crate::decode::Proto;
use crate::frame::FrameMeta;
use crate::neighbor::message::{self, Protocol};
use crate::neighbor::{Ip, Mac};
use crate::packet::{NONE, Packet};
use crate::track::Points;
use ahash::RandomState;
use hashbrown::HashMap;

/// Ports remembered for one host.
const MAX_OFFERS: usize = 256;
/// Hardware addresses remembered for one address: each is a row.
const MAX_CLAIMS: usize = 4;

/// How much is kept.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Hosts at most; beyond, the quarter without packets for longest go out as rows and begin anew if they come back.
    pub max_hosts: usize,
    /// Names of addresses that have not spoken.
    pub max_names: usize,
    /// Whether a UDP port is that of a known service: what comes from it is an answer.
    pub is_service: fn(u16) -> bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_hosts: 1 << 16, max_names: 1 << 16, is_service: |port| port < 1024 }
    }
}

/// What did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Rows that went out before the end because [`Limits::max_hosts`] was reached.
    pub evicted_hosts: u64,
    /// Names forgotten because [`Limits::max_names`] was reached.
    pub evicted_names: u64,
}

type Key = (u32, Ip);

/// The hosts seen so far.
pub struct Hosts {
    limits: Limits,
    points: Points,
    /// Capture point → namespace number.
    netns_of: Vec<u32>,
    netns: Vec<Option<String>>,
    hosts: Vec<Host>,
    /// Rows of an address: several when several stations claim it.
    rows: HashMap<Key, Vec<u32>, RandomState>,
    /// Names from DNS.
    names: HashMap<Key, String, RandomState>,
    /// Names that DHCP clients gave themselves.
    clients: HashMap<(u32, Mac), String, RandomState>,
    /// Hosts with news.
    changed: Vec<u32>,
    counters: Counters,
}

impl Hosts {
    /// Nobody is known.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            points: Points::default(),
            netns_of: Vec::new(),
            netns: Vec::new(),
            hosts: Vec::new(),
            rows: HashMap::default(),
            names: HashMap::default(),
            clients: HashMap::default(),
            changed: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What did not fit.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// A namespace by number.
    #[must_use]
    pub fn netns(&self, number: u32) -> Option<&str> {
        self.netns.get(number as usize)?.as_deref()
    }

    /// The hosts, in order of their first packet.
    #[must_use]
    pub fn all(&self) -> &[Host] {
        &self.hosts
    }

    /// Learns the interfaces of a batch.
    pub fn learn(&mut self, interfaces: &[std::sync::Arc<crate::frame::InterfaceInfo>]) {
        self.points.learn(interfaces);
        for point in &self.points.all()[self.netns_of.len()..] {
            let number = self.netns.iter().position(|known| *known == point.netns).unwrap_or_else(|| {
                self.netns.push(point.netns.clone());
                self.netns.len() - 1
            });
            self.netns_of.push(number as u32);
        }
    }

    fn netns_number(&self, name: Option<&String>) -> u32 {
        self.netns.iter().position(|known| known.as_ref() == name).unwrap_or(0) as u32
    }

    fn note(&mut self, slot: usize, news: News) {
        let host = &mut self.hosts[slot];
        if host.news == 0 {
            self.changed.push(slot as u32);
        }
        host.news |= 1 << news as u8;
    }

    /// The hosts with news, each with what is new, in the order in which they came; then there are none.
    pub fn take_news(&mut self) -> Vec<Host> {
        let taken = |slot: u32| {
            let host = &mut self.hosts[slot as usize];
            let copy = host.clone();
            host.news = 0;
            copy
        };
        std::mem::take(&mut self.changed).into_iter().map(taken).collect()
    }

    /// Whether there is no room for another batch's hosts: then [`Hosts::evict`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.hosts.len() >= self.limits.max_hosts
    }

    /// Takes out the quarter of the hosts that have been without packets for longest.
    pub fn evict(&mut self) -> Vec<Host> {
        let mut ages: Vec<i64> = self.hosts.iter().map(|host| host.last_seen).collect();
        if ages.is_empty() {
            return Vec::new();
        }
        let at = ages.len() / 4;
        let limit = *ages.select_nth_unstable(at).1;
        let (out, kept) = std::mem::take(&mut self.hosts).into_iter().partition(|host| host.last_seen <= limit);
        self.hosts = kept;
        self.rows.clear();
        self.changed.clear();
        for (slot, host) in self.hosts.iter().enumerate() {
            self.rows.entry((host.netns, host.ip)).or_default().push(slot as u32);
            if host.news != 0 {
                self.changed.push(slot as u32);
            }
        }
        let out: Vec<Host> = out;
        self.counters.evicted_hosts += out.len() as u64;
        out
    }

    /// Accounts one frame.
    pub fn frame(&mut self, meta: &FrameMeta, packet: &Packet, frame: &[u8]) {
        let point = self.points.of(meta.interface);
        let netns = self.netns_of.get(point as usize).copied().unwrap_or(0);
        if message::is_candidate(packet)
            && let Some(message) = message::read(meta, packet, frame, point)
            && let Some((ip, mac)) = message.claim()
        {
            let source = if message.protocol == Protocol::Arp { Source::Arp } else { Source::Nd };
            let slot = self.claim((netns, ip), mac, meta.ts);
            self.see(slot, meta.ts, source);
        }
        // ARP in a tunnel: the IP header that the packet knows is the tunnel's.
        let in_tunnel = packet.arp != NONE && packet.ip != NONE && packet.arp > packet.ip;
        if packet.ip_version != 0 && !in_tunnel {
            self.ip(meta, packet, frame, netns);
        }
    }

    fn ip(&mut self, meta: &FrameMeta, packet: &Packet, frame: &[u8], netns: u32) {
        let mac = |offset: usize| {
            // Only where the Ethernet header is that of the innermost IP packet.
            let eth = (packet.eth != NONE && packet.eth < packet.ip).then_some(packet.eth as usize)?;
            frame.get(eth + offset..)?.first_chunk::<6>().copied()
        };
        let (from, to) = (mac(6), mac(0));
        let broadcast = to == Some([0xff; 6]);
        let ends = [(Ip::source(packet), from, true), (Ip::destination(packet), to, false)];
        for (ip, mac, sender) in ends {
            let Some(ip) = ip.filter(Ip::is_station) else { continue };
            if !sender && broadcast {
                continue; // a network's broadcast address is no host
            }
            let slot = self.slot((netns, ip), mac, meta.ts);
            let host = &mut self.hosts[slot];
            host.pkts += 1;
            host.bytes += u64::from(meta.frame_len);
            self.see(slot, meta.ts, Source::Ip);
            if sender {
                let host = &mut self.hosts[slot];
                host.sent_by = host.sent_by.or(mac.filter(|mac| !is_virtual_router(mac)));
                self.sent(slot, packet, frame, meta.ts);
            }
        }
    }

    /// What a packet tells of the host that sent it.
    fn sent(&mut self, slot: usize, packet: &Packet, frame: &[u8], ts: i64) {
        const SYN: u16 = 2;
        const ACK: u16 = 16;
        let content = packet.last_proto();
        let content = content.filter(|p| matches!(p, Proto::Http | Proto::Tls | Proto::Dns | Proto::Mdns));
        if packet.has_tcp {
            match packet.tcp_flags & (SYN | ACK) {
                SYN => {
                    if self.hosts[slot].syn.is_none()
                        && let Some(syn) = syn::read(packet, frame)
                    {
                        self.hosts[slot].syn = Some(syn);
                        self.note(slot, News::Os);
                        self.see(slot, ts, Source::Tcp);
                    }
                }
                both if both == SYN | ACK => {
                    self.offer(slot, 6, packet.src_port, None);
                    self.see(slot, ts, Source::Tcp);
                }
                _ if content.is_some()
                    && self.hosts[slot].offers.iter().any(|o| o.proto == 6 && o.port == packet.src_port) =>
                {
                    self.offer(slot, 6, packet.src_port, content);
                }
                _ => {}
            }
        } else if packet.ip_proto == 17 && packet.has_ports && packet.src_port < packet.dst_port {
            // From a service's port to a client's: an answer.
            if packet.src_port != 68 && (self.limits.is_service)(packet.src_port) {
                self.offer(slot, 17, packet.src_port, content);
                self.see(slot, ts, Source::Udp);
            }
        }
    }

    fn offer(&mut self, slot: usize, proto: u8, port: u16, content: Option<Proto>) {
        let offers = &mut self.hosts[slot].offers;
        if let Some(known) = offers.iter_mut().find(|offer| offer.proto == proto && offer.port == port) {
            if known.content.is_some() || content.is_none() {
                return;
            }
            known.content = content;
        } else if offers.len() < MAX_OFFERS {
            offers.push(Offer { proto, port, content });
        } else {
            return;
        }
        self.note(slot, News::Ports);
    }

    fn see(&mut self, slot: usize, ts: i64, source: Source) {
        let host = &mut self.hosts[slot];
        host.first_seen = host.first_seen.min(ts);
        host.last_seen = host.last_seen.max(ts);
        host.sources |= 1 << source as u8;
    }

    /// The row of an address for a packet with this hardware address: the station that claimed it or has sent for it,
    /// else the first.
    fn slot(&mut self, key: Key, mac: Option<Mac>, ts: i64) -> usize {
        if let Some(slots) = self.rows.get(&key)
            && let Some(first) = slots.first()
        {
            let of = |has: fn(&Host) -> Option<Mac>| {
                slots.iter().find(|slot| mac.is_some() && has(&self.hosts[**slot as usize]) == mac)
            };
            return *of(|host| host.mac).or_else(|| of(|host| host.sent_by)).unwrap_or(first) as usize;
        }
        self.add(key, None, ts)
    }

    /// The row of an address and the station that claims it.
    fn claim(&mut self, key: Key, mac: Mac, ts: i64) -> usize {
        let slots = self.rows.get(&key).map_or(&[][..], Vec::as_slice);
        if let Some(slot) = slots.iter().find(|slot| self.hosts[**slot as usize].mac == Some(mac)) {
            return *slot as usize;
        }
        // What was seen before anybody claimed the address is the first claimant's, unless another station sent it.
        let nobodys = |host: &Host| host.mac.is_none() && host.sent_by.is_none_or(|other| other == mac);
        if let Some(slot) = slots.iter().find(|slot| nobodys(&self.hosts[**slot as usize])) {
            let slot = *slot as usize;
            self.hosts[slot].mac = Some(mac);
            self.note(slot, News::Mac);
            return slot;
        }
        match slots {
            [.., last] if slots.len() >= MAX_CLAIMS => *last as usize,
            _ => self.add(key, Some(mac), ts),
        }
    }

    fn add(&mut self, key: Key, mac: Option<Mac>, ts: i64) -> usize {
        let slot = self.hosts.len();
        self.hosts.push(Host {
            netns: key.0,
            ip: key.1,
            mac,
            sent_by: None,
            first_seen: ts,
            last_seen: ts,
            pkts: 0,
            bytes: 0,
            offers: Vec::new(),
            hostname: None,
            syn: None,
            sources: 0,
            news: 0,
        });
        self.rows.entry(key).or_default().push(slot as u32);
        self.note(slot, News::New);
        slot
    }

    /// A host's name: from DHCP, else from DNS.
    #[must_use]
    pub fn hostname<'a>(&'a self, host: &'a Host) -> Option<(&'a str, Source)> {
        if let Some((name, source)) = &host.hostname {
            return Some((name, *source));
        }
        self.names.get(&(host.netns, host.ip)).map(|name| (name.as_str(), Source::Dns))
    }
}

/// Whether a hardware address is one that routers share: VRRP's and CARP's (RFC 9568, 7.3), HSRP's of both versions. What
/// a router sends from it is its own all the same, so it does not speak for another station.
fn is_virtual_router(mac: &Mac) -> bool {
    matches!(mac, [0, 0, 0x5e, 0, 1 | 2, _] | [0, 0, 0x0c, 0x07, 0xac, _] | [0, 0, 0x0c, 0x9f, 0xf0..=0xff, _])
}
