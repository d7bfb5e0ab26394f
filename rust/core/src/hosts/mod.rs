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
use crate::neighbor::{Ip, Mac, oldest_quarter};
use crate::packet::{NONE, Packet};
use crate::track::Points;
use ahash::RandomState;
use hashbrown::HashMap;

/// Ports remembered for one host.
pub const MAX_OFFERS: usize = 256;
/// Stations remembered for one address, each a row; beyond, the one that was heard longest ago goes out.
pub const MAX_CLAIMS: usize = 16;

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
    /// Rows that went out before the end because [`Limits::max_hosts`] or [`MAX_CLAIMS`] was reached.
    pub evicted_hosts: u64,
    /// Names and clients forgotten because [`Limits::max_names`] was reached.
    pub evicted_names: u64,
    /// Answers from ports beyond the [`MAX_OFFERS`] of their hosts.
    pub left_out_ports: u64,
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
    /// DHCP clients.
    clients: HashMap<(u32, said::Client), said::Said, RandomState>,
    /// Rows that gave way to others of their address.
    gone: Vec<Host>,
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
            gone: Vec::new(),
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

    /// The hosts, in order of their first packet; one that took another's place ([`MAX_CLAIMS`]) stands there.
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
        let Some(limit) = oldest_quarter(self.hosts.iter().map(|host| host.last_seen).collect()) else {
            return Vec::new();
        };
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

    /// Takes out the rows that gave way to others of their address.
    pub fn take_gone(&mut self) -> Vec<Host> {
        std::mem::take(&mut self.gone)
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
            let slot = self.claim((netns, ip), mac);
            self.hosts[slot].see(time(meta), source);
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
        // A network's broadcast address is no host.
        let broadcast = to.map_or_else(|| is_cooked_broadcast(packet, frame), |to| to == [0xff; 6]);
        let (source, destination) = (Ip::source(packet), Ip::destination(packet));
        let ends = [(source, from, true), (destination.filter(|_| !broadcast && destination != source), to, false)];
        for (ip, mac, sender) in ends {
            let Some(ip) = ip.filter(Ip::is_station) else { continue };
            let slot = self.slot((netns, ip), mac);
            let host = &mut self.hosts[slot];
            host.pkts += 1;
            host.bytes += u64::from(meta.frame_len);
            host.see(time(meta), Source::Ip);
            if sender {
                host.sent_by = host.sent_by.or(mac.filter(|mac| !is_virtual_router(mac)));
                self.sent(slot, packet, frame, time(meta));
            }
        }
    }

    /// What a packet tells of the host that sent it.
    fn sent(&mut self, slot: usize, packet: &Packet, frame: &[u8], ts: Option<i64>) {
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
                        self.hosts[slot].see(ts, Source::Tcp);
                    }
                }
                both if both == SYN | ACK => {
                    self.offer(slot, 6, packet.src_port, None);
                    self.hosts[slot].see(ts, Source::Tcp);
                }
                _ if content.is_some()
                    && self.hosts[slot].offers.iter().any(|o| o.proto == 6 && o.port == packet.src_port) =>
                {
                    self.offer(slot, 6, packet.src_port, content);
                }
                _ => {}
            }
        } else if packet.ip_proto == 17
            && packet.has_ports
            && (packet.src_port < packet.dst_port || (packet.src_port, packet.dst_port) == (547, 546))
        {
            // From a service's port to a client's: an answer. DHCP's clients have ports of their own (RFC 2131, RFC 8415).
            if !matches!(packet.src_port, 68 | 546) && (self.limits.is_service)(packet.src_port) {
                self.offer(slot, 17, packet.src_port, content);
                self.hosts[slot].see(ts, Source::Udp);
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
            self.counters.left_out_ports += 1;
            return;
        }
        self.note(slot, News::Ports);
    }

    /// The row of an address for a packet with this hardware address: the station that claimed it or has sent for it,
    /// else the first.
    fn slot(&mut self, key: Key, mac: Option<Mac>) -> usize {
        if let Some(slots) = self.rows.get(&key)
            && let Some(first) = slots.first()
        {
            let of = |has: fn(&Host) -> Option<Mac>| {
                slots.iter().find(|slot| mac.is_some() && has(&self.hosts[**slot as usize]) == mac)
            };
            return *of(|host| host.mac).or_else(|| of(|host| host.sent_by)).unwrap_or(first) as usize;
        }
        self.add(key, None)
    }

    /// The row of an address and the station that claims it.
    fn claim(&mut self, key: Key, mac: Mac) -> usize {
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
        match slots.iter().copied().min_by_key(|slot| self.hosts[*slot as usize].last_seen) {
            Some(oldest) if slots.len() >= MAX_CLAIMS => self.replace(oldest, key, mac),
            _ => self.add(key, Some(mac)),
        }
    }

    fn add(&mut self, key: Key, mac: Option<Mac>) -> usize {
        let slot = self.hosts.len();
        self.hosts.push(Host::new(key.0, key.1, mac));
        self.rows.entry(key).or_default().push(slot as u32);
        self.note(slot, News::New);
        slot
    }

    /// Puts another station of an address in the place of one, which goes out.
    fn replace(&mut self, slot: u32, key: Key, mac: Mac) -> usize {
        let at = slot as usize;
        let new = Host { news: self.hosts[at].news, ..Host::new(key.0, key.1, Some(mac)) };
        self.gone.push(std::mem::replace(&mut self.hosts[at], new));
        self.counters.evicted_hosts += 1;
        if let Some(slots) = self.rows.get_mut(&key) {
            slots.retain(|other| *other != slot);
            slots.push(slot);
        }
        self.note(at, News::New);
        at
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

fn time(meta: &FrameMeta) -> Option<i64> {
    (!meta.ts_missing).then_some(meta.ts)
}

/// Whether a frame of a Linux cooked capture was to everybody: its packet type, in the first header.
fn is_cooked_broadcast(packet: &Packet, frame: &[u8]) -> bool {
    const BROADCAST: u8 = 1;
    let at = match packet.layers().first().map(|layer| layer.proto()) {
        Some(Proto::Sll) => 1,
        Some(Proto::Sll2) => 10,
        _ => return false,
    };
    packet.depth == 0 && frame.get(at) == Some(&BROADCAST)
}

/// Whether a hardware address is one that routers share: VRRP's and CARP's (RFC 9568, 7.3), HSRP's of both versions and for
/// IPv6. What a router sends from it is its own all the same, so it does not speak for another station.
fn is_virtual_router(mac: &Mac) -> bool {
    matches!(
        mac,
        [0, 0, 0x5e, 0, 1 | 2, _]
            | [0, 0, 0x0c, 0x07, 0xac, _]
            | [0, 0, 0x0c, 0x9f, 0xf0..=0xff, _]
            | [0, 0x05, 0x73, 0xa0, 0..=0x0f, _]
    )
}
