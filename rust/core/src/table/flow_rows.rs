//! Runs of flows, and which of them have what the columns of the flow table are made of.

use crate::app::{Kept, TEXTS};
use crate::packet::NONE;
use crate::track::flow::{UNKNOWN, seen};
use crate::track::key::{ARP, PORTLESS, is_ported, vlan_at};
use crate::track::side::{Side, known};
use crate::track::{Flow, Tracker};

/// A run of ended flows and the tracker that knows their capture points.
pub struct Rows<'a> {
    pub(super) flows: &'a [&'a Flow],
    pub(super) tracker: &'a Tracker,
    pub(super) there: Vec<There>,
}

impl<'a> Rows<'a> {
    /// These flows, and the tracker they come from.
    #[must_use]
    pub fn new(flows: &'a [&'a Flow], tracker: &'a Tracker) -> Self {
        bring_facts(flows);
        Self { flows, tracker, there: flows.chunks(64).map(There::of).collect() }
    }

    pub(super) fn iter(&self) -> std::iter::Copied<std::slice::Iter<'a, &'a Flow>> {
        self.flows.iter().copied()
    }
}

/// Reads something of what the bytes of each flow have told, which stands here and there in memory: asked for in one go,
/// all of it comes in about the time of a few, and the columns find it in the cache.
fn bring_facts(flows: &[&Flow]) {
    let told = flows.iter().filter_map(|flow| flow.facts.as_ref()).fold(0, |told, facts| told ^ facts.touch());
    std::hint::black_box(told);
}

/// Which of 64 flows have what: a bit each, the first in the lowest. Many columns share a condition, and no processor
/// foresees which row has a value and which has none.
#[derive(Default)]
pub(super) struct There {
    pub all: u64,
    pub ip: u64,
    pub address: u64,
    pub ports: u64,
    pub tcp: u64,
    pub icmp: u64,
    pub timed: u64,
    pub vlan: u64,
    pub inner_vlan: u64,
    pub vni: u64,
    /// The originator's SYN and the acknowledgment that ended the handshake, neither sent again.
    pub tcp_rtt: u64,
    pub synack_rtt: u64,
    pub ackdat_rtt: u64,
    /// What its bytes said, by [`crate::app::Text`].
    pub facts: [u64; TEXTS],
    /// Of the originator and the responder.
    pub sides: [Sent; 2],
}

/// What a side has sent.
#[derive(Default)]
pub(super) struct Sent {
    pub any: u64,
    pub ip: u64,
    pub tcp: u64,
    pub mss: u64,
    /// Two packets at least.
    pub two: u64,
    /// The same, all at known times.
    pub timed_two: u64,
    pub timed_three: u64,
    /// Its hardware address is known.
    pub l2: u64,
}

impl There {
    fn of(flows: &[&Flow]) -> Self {
        let mut there = Self::default();
        for (at, f) in flows.iter().enumerate() {
            let bit = |is: bool| u64::from(is) << at;
            let (is_ip, is_tcp) = (is_ip(f), is_tcp(f));
            there.all |= bit(true);
            there.ip |= bit(is_ip);
            there.address |= bit(is_ip | (f.key.family == ARP));
            there.ports |= bit(is_ip & is_ported(f.key.proto) & (f.key.extra != PORTLESS));
            there.tcp |= bit(is_tcp);
            there.icmp |= bit(f.has_icmp);
            there.timed |= bit(f.has_times());
            there.vlan |= bit(vlan_at(f.key.vlans, 0).is_some());
            there.inner_vlan |= bit(vlan_at(f.key.vlans, 1).is_some());
            there.vni |= bit(f.key.vni != NONE);
            // A time that runs backwards is none.
            let handshake = |bits: u8, not: u8, from: i64, to: i64| {
                let known = (from != UNKNOWN) & (to != UNKNOWN);
                bit(is_tcp & known & (f.seen & (bits | not) == bits) & (to.saturating_sub(from) >= 0))
            };
            let (syn, synack, end) = (f.syn_ts, f.synack_ts, f.established_ts);
            let again = seen::SYN_AGAIN | seen::SYNACK_AGAIN;
            there.tcp_rtt |= handshake(seen::SYN | seen::SYNACK | seen::ESTABLISHED, again, syn, end);
            there.synack_rtt |= handshake(seen::SYN | seen::SYNACK, seen::SYN_AGAIN, syn, synack);
            there.ackdat_rtt |= handshake(seen::SYNACK | seen::ESTABLISHED, seen::SYNACK_AGAIN, synack, end);
            let texts = f.facts.as_ref().map_or([false; TEXTS], Kept::has);
            for (facts, has) in there.facts.iter_mut().zip(texts) {
                *facts |= bit(has);
            }
            for (sent, side) in there.sides.iter_mut().zip([f.originator(), f.responder()]) {
                sent.any |= bit(side.pkts > 0);
                sent.ip |= bit(is_ip & (side.pkts > 0));
                sent.tcp |= bit(side.has_tcp);
                sent.mss |= bit(is_tcp & (side.mss > 0));
                sent.two |= bit(side.pkts > 1);
                let timed = !side.knows(known::UNTIMED);
                sent.timed_two |= bit(timed & (side.pkts > 1));
                sent.timed_three |= bit(timed & (side.pkts > 2));
                sent.l2 |= bit(knows_l2(side));
            }
        }
        there
    }
}

fn is_ip(flow: &Flow) -> bool {
    (flow.key.family == 4) | (flow.key.family == 6)
}

fn is_tcp(flow: &Flow) -> bool {
    is_ip(flow) & (flow.key.proto == 6)
}

fn knows_l2(side: &Side) -> bool {
    side.has_l2 || side.l2 != [0; 6]
}
