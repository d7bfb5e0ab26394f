//! What a packet shows of a flow without a stream, and where a stream of it would begin.

use super::Watch;
use crate::app::{Facts, Looks, OVER_TCP, Wants};
use crate::packet::Packet;
use crate::track::Flow;
use crate::track::side::known;
use crate::track::tcp::SYN;
use compact_str::CompactString;

/// Sequence number of the first byte of `packet`.
pub(super) fn first_byte(packet: &Packet) -> u32 {
    packet.tcp_seq.wrapping_add(u32::from(packet.tcp_flags & SYN != 0))
}

/// Where a stream that is opened for `packet` begins: at the start of the connection if nothing else of it has come, else
/// at this packet.
pub(super) fn beginning(flow: &Flow, side: usize, packet: &Packet) -> u32 {
    let own = &flow.sides[side];
    let is_first = own.payload_bytes == u64::from(packet.payload_len);
    if own.knows(known::ISN) && is_first { own.isn.wrapping_add(1) } else { first_byte(packet) }
}

/// Where facts alone are wanted, one segment of most flows tells them all: no stream is opened for these. `told`: the
/// segment's facts, if another thread has looked. `true` if it has them.
pub(super) fn glance(
    wants: &Wants,
    flow: &mut Flow,
    side: usize,
    packet: &Packet,
    frame: &[u8],
    told: Option<Box<Facts>>,
) -> bool {
    if wants.rows() || first_byte(packet) != beginning(flow, side, packet) {
        return false;
    }
    let Some(facts) = told.or_else(|| tell(wants, packet, frame)) else { return false };
    match &flow.facts {
        None if !facts.is_empty() => flow.facts = Some(facts),
        _ => keep_facts(flow, *facts),
    }
    flow.watch = Watch::IGNORED;
    true
}

/// The facts that a segment tells on its own.
pub fn tell(wants: &Wants, packet: &Packet, frame: &[u8]) -> Option<Box<Facts>> {
    let payload = packet.payload_of(frame);
    if payload.len() != packet.payload_len as usize {
        return None;
    }
    let ports = (packet.src_port, packet.dst_port);
    let mut protocols = OVER_TCP.iter().filter(|one| (one.wanted)(wants));
    let found = protocols.find_map(|one| match (one.looks)(payload, ports) {
        Looks::Client => Some((one.glance)(payload)),
        Looks::Server => Some(None),
        Looks::Perhaps | Looks::No => None,
    });
    found.flatten().map(Box::new)
}

/// Adds facts to a flow; the first of each stays.
pub(super) fn keep_facts(flow: &mut Flow, facts: Facts) {
    if facts.is_empty() {
        return;
    }
    let kept = flow.facts.get_or_insert_default();
    kept.service = kept.service.or(facts.service);
    let keep = |slot: &mut Option<CompactString>, new: Option<CompactString>| {
        if slot.is_none() {
            *slot = new;
        }
    };
    keep(&mut kept.http_host, facts.http_host);
    keep(&mut kept.tls_server_name, facts.tls_server_name);
    keep(&mut kept.dns_query, facts.dns_query);
    keep(&mut kept.ja4, facts.ja4);
}
