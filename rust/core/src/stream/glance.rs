//! What a packet shows of a flow without a stream, and where a stream of it would begin.

use super::Watch;
use crate::app::{Facts, Kept, Looks, OVER_TCP, OverTcp, Wants};
use crate::packet::Packet;
use crate::track::Flow;
use crate::track::side::{Side, after, known};
use crate::track::tcp::SYN;

/// Sequence number of the first byte of `packet`.
pub(super) fn first_byte(packet: &Packet) -> u32 {
    packet.tcp_seq.wrapping_add(u32::from(packet.tcp_flags & SYN != 0))
}

/// Where a stream that is opened for `packet` begins: at the start of the connection if nothing else of it has come, else
/// at this packet.
pub(super) fn beginning(flow: &Flow, side: usize, packet: &Packet) -> u32 {
    let own = &flow.sides[side];
    if own.knows(known::ISN) && is_first(own, packet) { own.isn.wrapping_add(1) } else { first_byte(packet) }
}

/// Whether nothing of its side was seen before `packet`, which is counted already.
pub(crate) fn is_first(own: &Side, packet: &Packet) -> bool {
    own.payload_bytes == u64::from(packet.payload_len)
}

/// Whether a stream that is opened for `packet` is seen from the first byte of both sides: the handshake is there, and no
/// payload came before.
pub(super) fn is_beginning(flow: &Flow, side: usize, packet: &Packet) -> bool {
    flow.sides.iter().all(|one| one.knows(known::ISN))
        && is_first(&flow.sides[side], packet)
        && flow.sides[side ^ 1].payload_bytes == 0
}

/// Whether `packet` is what a client begins with.
pub(super) fn asks(wants: &Wants, packet: &Packet, frame: &[u8]) -> bool {
    let ports = (packet.src_port, packet.dst_port);
    let looks = |one: &OverTcp| (one.looks)(packet.payload_of(frame), ports);
    let mut named = OVER_TCP.iter().filter(|one| (one.wanted)(wants)).map(looks);
    named.find(|looks| matches!(looks, Looks::Client | Looks::Server)) == Some(Looks::Client)
}

/// Where what the other side may answer to `packet` begins: behind what `packet` acknowledges, and behind what was seen
/// of it, as long as it had acknowledged nothing of `packet` then (each side of HTTP/2 begins unasked: RFC 9113, 3.4).
pub(super) fn unasked(other: &Side, packet: &Packet) -> u32 {
    let had_none = other.knows(known::SEQ | known::ACK) && !after(other.last_ack, first_byte(packet));
    if had_none && after(other.next_seq, packet.tcp_ack) { other.next_seq } else { packet.tcp_ack }
}

/// Where facts alone are wanted, one segment of most flows tells them all: no stream is opened for these. `told`: the
/// segment's facts, if another thread has looked. `true` if it has them.
pub(super) fn glance(
    wants: &Wants,
    flow: &mut Flow,
    side: usize,
    packet: &Packet,
    frame: &[u8],
    told: Option<Kept>,
) -> bool {
    if wants.rows() || first_byte(packet) != beginning(flow, side, packet) {
        return false;
    }
    let Some(facts) = told.or_else(|| tell(wants, packet, frame, |_| true)) else { return false };
    keep(flow, facts);
    flow.watch = Watch::IGNORED;
    true
}

/// The facts that a segment tells on its own, of a protocol that `is_one` picks.
pub fn tell(wants: &Wants, packet: &Packet, frame: &[u8], is_one: impl Fn(&OverTcp) -> bool) -> Option<Kept> {
    let payload = packet.payload_of(frame);
    if payload.len() != packet.payload_len as usize {
        return None;
    }
    let ports = (packet.src_port, packet.dst_port);
    let mut protocols = OVER_TCP.iter().filter(|one| is_one(one) && (one.wanted)(wants));
    let found = protocols.find_map(|one| match (one.looks)(payload, ports) {
        Looks::Client => Some((one.glance)(payload)),
        Looks::Server => Some(None),
        Looks::Perhaps | Looks::No => None,
    });
    found.flatten().map(Kept::from)
}

/// Adds facts to a flow; the first of each stays.
pub(super) fn keep_facts(flow: &mut Flow, facts: Facts) {
    if !facts.is_empty() {
        keep(flow, facts.into());
    }
}

fn keep(flow: &mut Flow, facts: Kept) {
    match &mut flow.facts {
        None => flow.facts = Some(facts),
        Some(kept) => kept.add(&facts),
    }
}
