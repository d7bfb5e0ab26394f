//! Judges each claim by what was claimed before.

use super::bindings::{Binding, Bindings, Holder, Known};
use super::message::{self, Message, Role};
use super::routers::Routers;
use super::{Finding, Findings, Ip, Mac, Segment, oldest_quarter};
use crate::app::dhcp;
use crate::frame::FrameMeta;
use crate::packet::{NONE, Packet, Tunnel};
use crate::track::options::SECOND;
use crate::track::{Point, Points};
use ahash::RandomState;
use hashbrown::{HashMap, HashSet};

/// How much is remembered, and for how long it matters. Times in nanoseconds of packet time.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Addresses, questions and segments at most; beyond, the oldest quarter is forgotten.
    pub max_addresses: usize,
    /// Two answers to one station within this time are answers to the same question.
    pub same_question: i64,
    /// A station that took an address over is in conflict with the one before for this long after that one's last
    /// claim. Linux keeps an unconfirmed neighbour for as long (`gc_stale_time`).
    pub contested: i64,
    /// An answer within this time of the question was asked for. Linux asks three times, a second apart.
    pub asked: i64,
    /// Announcements of one station within `storm_window` that are still ordinary. RFC 5227, 2.3 asks for two;
    /// redundancy protocols send up to five.
    pub storm: u32,
    /// See `storm`.
    pub storm_window: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_addresses: 1 << 16,
            same_question: 2 * SECOND,
            contested: 60 * SECOND,
            asked: 5 * SECOND,
            storm: 10,
            storm_window: 10 * SECOND,
        }
    }
}

/// What was seen and what did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages.
    pub messages: u64,
    /// Addresses forgotten because [`Limits::max_addresses`] was reached.
    pub evicted_addresses: u64,
    /// Questions forgotten for the same reason.
    pub evicted_questions: u64,
    /// Segments whose beginning was forgotten for the same reason.
    pub evicted_segments: u64,
}

/// What a message turned out to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    /// All findings.
    pub findings: Findings,
    /// Who held the address before, if that is another station than the sender.
    pub previous: Option<Mac>,
}

/// Keeps what stations claim.
#[derive(Debug)]
pub struct Watch {
    limits: Limits,
    points: Points,
    bindings: Bindings,
    routers: Routers,
    /// Addresses of default gateways: given for every segment, or learnt of one.
    gateways: HashSet<Ip, RandomState>,
    /// See `gateways`.
    gateways_of: HashSet<(Segment, Ip), RandomState>,
    /// Who asked for which address, when.
    questions: HashMap<(Segment, Ip, Ip), i64, RandomState>,
    /// Until when questions may have been forgotten, ns.
    blind: i64,
    /// Announcements of a station: start of the window and count.
    announced: HashMap<(Segment, Mac), (i64, u32), RandomState>,
    /// First message of a segment, ns, and whether anything was asked in it since: what came before is not known.
    begun: HashMap<Segment, (i64, bool), RandomState>,
    known: Vec<Known>,
    counters: Counters,
}

impl Watch {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let max = limits.max_addresses;
        Self {
            limits,
            points: Points::default(),
            bindings: Bindings::new(max),
            routers: Routers::new(max),
            gateways: HashSet::default(),
            gateways_of: HashSet::default(),
            questions: HashMap::default(),
            blind: i64::MIN,
            announced: HashMap::default(),
            begun: HashMap::default(),
            known: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Starts from what an earlier run knew. Addresses of capture points that do not turn up are kept for the next.
    pub fn remember(&mut self, known: Vec<Known>) {
        self.known.extend(known);
    }

    /// Default gateways by address, wherever they are.
    pub fn gateways(&mut self, addresses: impl IntoIterator<Item = Ip>) {
        self.gateways.extend(addresses);
    }

    /// What is known now, in a fixed order. Networks that are told apart by the kind of their tunnel alone are left out.
    #[must_use]
    pub fn known(&self) -> Vec<Known> {
        let named = |entry: &(&(Segment, Ip), &Binding)| entry.0.0.tunnel == Tunnel::None;
        let mut entries: Vec<_> = self.bindings.iter().filter(named).collect();
        entries.sort_unstable_by_key(|(key, _)| **key);
        let of_binding = |(key, binding): (&(Segment, Ip), &Binding)| {
            let (segment, ip) = key;
            let point = self.points.get(segment.point);
            Known {
                netns: point.and_then(|point| point.netns.clone()),
                interface: point.and_then(|point| point.interface.clone()),
                vlans: segment.vlans,
                vni: segment.vni,
                ip: *ip,
                holders: binding.holders.iter().map(|h| (h.mac, h.first, h.last)).collect(),
                current: binding.current,
                gateway: binding.gateway,
            }
        };
        self.known.iter().cloned().chain(entries.into_iter().map(of_binding)).collect()
    }

    /// The rules in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What was seen and what did not fit.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { evicted_addresses: self.bindings.evicted, ..self.counters }
    }

    /// Learns the interfaces of a batch.
    pub fn learn(&mut self, interfaces: &[std::sync::Arc<crate::frame::InterfaceInfo>]) {
        let before = self.points.all().len();
        self.points.learn(interfaces);
        for number in before..self.points.all().len() {
            let point = self.points.all()[number].clone();
            self.recall(&point, number as u32);
        }
    }

    /// Takes over what was known of a capture point that has turned up.
    fn recall(&mut self, point: &Point, number: u32) {
        let here = |known: &Known| known.netns == point.netns && known.interface == point.interface;
        for known in self.known.extract_if(.., |known| here(known)) {
            let holders: Vec<Holder> = known
                .holders
                .iter()
                .map(|(mac, first, last)| Holder { mac: *mac, first: *first, last: *last, answered: None })
                .collect();
            let segment = Segment { point: number, vni: known.vni, tunnel: Tunnel::None, vlans: known.vlans };
            if holders.is_empty() {
                if known.gateway {
                    self.gateways_of.insert((segment, known.ip));
                }
                continue;
            }
            let current = known.current.min(holders.len() - 1);
            self.bindings.insert((segment, known.ip), Binding { holders, current, gateway: known.gateway });
        }
    }

    /// Looks at a frame: the message in it and what it turned out to be. Other frames teach who forwards.
    #[inline]
    pub fn frame(&mut self, meta: &FrameMeta, packet: &Packet, frame: &[u8]) -> Option<(Message, Verdict)> {
        if !message::is_candidate(packet) {
            self.traffic(meta, packet, frame);
            return None;
        }
        let message = message::read(meta, packet, frame, self.points.of(meta.interface))?;
        let verdict = self.judge(&message);
        Some((message, verdict))
    }

    /// Notes who sends IP packets of others. Inside tunnels nothing is learnt: a tunnel's end forwards by design.
    #[inline]
    fn traffic(&mut self, meta: &FrameMeta, packet: &Packet, frame: &[u8]) {
        if packet.eth == NONE || packet.depth != 0 || packet.ip_version == 0 {
            return;
        }
        let at = packet.eth as usize + 6;
        let Some(mac) = frame.get(at..).and_then(|bytes| bytes.first_chunk::<6>()).copied() else { return };
        let Some(source) = Ip::source(packet).filter(Ip::is_station) else { return };
        let segment = Segment::of(packet, self.points.of(meta.interface));
        if packet.has_ports && packet.ip_proto == 17 && (packet.src_port, packet.dst_port) == (67, 68) {
            self.lease(segment, packet.payload_of(frame));
        }
        let bindings = &self.bindings;
        self.routers.note(segment, mac, source, || bindings.holds(&(segment, source), &mac));
    }

    /// Learns the default gateways that a DHCP server gives with a lease (RFC 2132, 3.5).
    fn lease(&mut self, segment: Segment, payload: &[u8]) {
        const ACK: u8 = 5;
        let Some(message) = dhcp::Message::parse_v4(payload, false).filter(|message| message.kind == ACK) else {
            return;
        };
        for router in message.routers {
            if self.gateways_of.len() < self.limits.max_addresses {
                self.gateways_of.insert((segment, Ip::v4(router.octets())));
            }
        }
    }

    /// What a message is, by what was said before.
    pub fn judge(&mut self, message: &Message) -> Verdict {
        self.counters.messages += 1;
        let mut verdict = Verdict::default();
        let is_question = message.role == Role::Asks && !message.gratuitous;
        let begun = self.begun(message, is_question);
        if let (Some(sender), Some(named)) = (message.eth_src, message.src_hw)
            && sender != named
            && named != [0; 6]
        {
            verdict.findings.add(Finding::Mismatch);
        }
        if is_question {
            self.asked(message);
        }
        let unasked = message.role == Role::Answers && !message.gratuitous && !self.was_asked(message, begun);
        if unasked {
            verdict.findings.add(Finding::Unsolicited);
        }
        if message.gratuitous && self.is_storm(message) {
            verdict.findings.add(Finding::GratuitousStorm);
        }
        if let Some((ip, mac)) = message.claim() {
            self.claim(message, ip, mac, unasked, &mut verdict);
        }
        verdict
    }

    /// The first message of a message's segment, ns; `None` once something was asked in it.
    fn begun(&mut self, message: &Message, is_question: bool) -> Option<i64> {
        if self.begun.len() >= self.limits.max_addresses && !self.begun.contains_key(&message.segment) {
            forget(&mut self.begun, |(ts, _)| *ts, &mut self.counters.evicted_segments);
        }
        let (ts, asked) = self.begun.entry(message.segment).or_insert((message.ts, false));
        *asked |= is_question;
        (!*asked).then_some(*ts)
    }

    fn asked(&mut self, message: &Message) {
        let (Some(asker), Some(ip)) = (message.src_ip, message.dst_ip) else { return };
        let question = (message.segment, ip, asker);
        if self.questions.len() >= self.limits.max_addresses && !self.questions.contains_key(&question) {
            let latest = forget(&mut self.questions, |ts| *ts, &mut self.counters.evicted_questions);
            // What still may be answered is not unasked.
            self.blind = self.blind.max(latest.saturating_add(self.limits.asked));
        }
        self.questions.insert(question, message.ts);
    }

    /// Whether the one who is answered asked for the address, or may have before the capture began.
    fn was_asked(&self, message: &Message, begun: Option<i64>) -> bool {
        let (Some(ip), Some(asker)) = (message.src_ip, message.dst_ip) else { return true };
        let within = |ts: i64| message.ts.saturating_sub(ts) <= self.limits.asked;
        message.ts <= self.blind
            || begun.is_some_and(within)
            || self.questions.get(&(message.segment, ip, asker)).is_some_and(|ts| within(*ts))
    }

    fn is_storm(&mut self, message: &Message) -> bool {
        let Some(mac) = message.src_hw else { return false };
        if self.announced.len() >= self.limits.max_addresses {
            self.announced.clear();
        }
        let (start, count) = self.announced.entry((message.segment, mac)).or_insert((message.ts, 0));
        if message.ts.saturating_sub(*start) > self.limits.storm_window {
            (*start, *count) = (message.ts, 0);
        }
        *count = count.saturating_add(1);
        *count > self.limits.storm
    }

    fn claim(&mut self, message: &Message, ip: Ip, mac: Mac, unasked: bool, verdict: &mut Verdict) {
        let key = (message.segment, ip);
        let ts = message.ts;
        let answered = (message.role == Role::Answers && !message.gratuitous)
            .then_some(message.dst_ip)
            .flatten()
            .map(|asker| (ts, asker));
        let gateway = self.gateways.contains(&ip) || self.gateways_of.contains(&key);
        let Some(binding) = self.bindings.get(&key) else {
            verdict.findings.add(Finding::New);
            let holder = Holder { mac, first: ts, last: ts, answered };
            let gateway = gateway || message.router;
            self.bindings.insert(key, Binding { holders: vec![holder], current: 0, gateway });
            return;
        };
        binding.gateway |= gateway || self.routers.is_router(message.segment, &binding.holders[0].mac);
        let before = binding.holders[binding.current];
        let is_known = binding.holders.iter().any(|holder| holder.mac == mac);
        let at = binding.holder(&mac, ts);
        binding.gateway |= message.router && at == 0;
        if before.mac != mac {
            verdict.previous = Some(before.mac);
            let same_question = answered.zip(before.answered).is_some_and(|((now, asker), (then, other))| {
                asker == other && now.saturating_sub(then) <= self.limits.same_question
            });
            verdict.findings.add(match (is_known, same_question) {
                (_, true) => Finding::Conflict,
                (true, false) => Finding::FlipFlop,
                (false, false) => Finding::Changed,
            });
        } else if let Some(other) = others(binding, &mac) {
            // A station that holds the address now although another had it before.
            let is_first = binding.holders[0].mac == mac;
            let fresh = ts.saturating_sub(other.last) <= self.limits.contested;
            if fresh || unasked && !is_first {
                verdict.previous = Some(other.mac);
                verdict.findings.add(Finding::Conflict);
            }
        }
        if binding.gateway && binding.holders[0].mac != mac {
            verdict.findings.add(Finding::GatewayTakeover);
        }
        binding.current = at;
        let holder = &mut binding.holders[at];
        holder.last = holder.last.max(ts);
        holder.answered = answered.or(holder.answered);
    }
}

/// The station that claimed the address last, other than `mac`.
fn others<'a>(binding: &'a Binding, mac: &Mac) -> Option<&'a Holder> {
    binding.holders.iter().filter(|holder| holder.mac != *mac).max_by_key(|holder| holder.last)
}

/// Forgets the oldest quarter, counted in `evicted`; the time of the latest of them, ns.
fn forget<K: Eq + std::hash::Hash, V>(
    map: &mut HashMap<K, V, RandomState>,
    time: impl Fn(&V) -> i64,
    evicted: &mut u64,
) -> i64 {
    let Some(limit) = oldest_quarter(map.values().map(&time).collect()) else { return i64::MIN };
    let before = map.len();
    map.retain(|_, value| time(value) > limit);
    *evicted += (before - map.len()) as u64;
    limit
}
