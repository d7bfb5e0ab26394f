//! What a TCP segment does to its flow: handshake, retransmission, gaps, close (RFC 9293).

use super::Share;
use super::flow::{Flow, UNKNOWN, seen};
use super::side::{Side, after, known};
use crate::packet::Packet;
use serde::{Deserialize, Serialize};

/// FIN flag.
pub const FIN: u16 = 0x01;
/// SYN flag.
pub const SYN: u16 = 0x02;
/// RST flag.
pub const RST: u16 = 0x04;
/// ACK flag.
pub const ACK: u16 = 0x10;

/// A SYN that begins another connection on the same ports: it does not repeat one that this flow knows.
#[must_use]
pub fn begins_anew(flow: &Flow, side: usize, packet: &Packet) -> bool {
    if packet.tcp_flags & (SYN | RST) != SYN {
        return false;
    }
    let (own, other) = (&flow.sides[side], &flow.sides[side ^ 1]);
    if packet.tcp_flags & ACK != 0 {
        // A SYN-ACK alone begins anew only behind a connection that has ended, or has gone beyond the handshake where the
        // other side is not captured, and of which it is no repetition.
        let gone_on = own.payload_bytes > 0 && flow.seen & seen::ESTABLISHED == 0;
        return own.knows(known::ISN) && own.isn != packet.tcp_seq && (flow.closed || own.fin || gone_on);
    }
    if own.knows(known::ISN) {
        return own.isn != packet.tcp_seq;
    }
    // The SYN of this very connection, behind its SYN-ACK or first segments in the capture: the other side acknowledged
    // it, and nothing beyond what this side has sent since.
    let begun = packet.tcp_seq.wrapping_add(1);
    let sent = if own.knows(known::SEQ) { own.next_seq.wrapping_sub(begun) } else { 0 };
    if other.knows(known::ISN | known::ACK) && sent < MAX_LATE && other.last_ack.wrapping_sub(begun) <= sent {
        return false;
    }
    // Only the acknowledgment that ends the handshake stands before it.
    if other.pkts == 0 && sent == 0 && own.knows(known::SEQ) && own.payload_bytes == 0 {
        return false;
    }
    // No SYN of this side is known: a flow met in the middle, or the other side's connection, now the other way round.
    // A bare SYN against a bare SYN is a simultaneous open (RFC 9293, 3.5, figure 7).
    own.pkts > 0 || flow.closed || other.knows(known::SEQ) && !other.knows(known::ISN)
}

/// How far a side may be ahead of its own SYN that stands later in the capture, bytes.
const MAX_LATE: u32 = 1 << 20;

/// Decides who began, from the first packet (`side` sent it).
pub fn first(flow: &mut Flow, side: usize, packet: &Packet) {
    flow.orig = side as u8;
    if packet.tcp_flags & (SYN | ACK) == SYN | ACK {
        // The answer was seen first: its receiver began.
        flow.orig = (side ^ 1) as u8;
    }
}

/// Accounts one segment of `side`.
#[inline]
pub(super) fn segment(flow: &mut Flow, side: usize, share: &Share, packet: &Packet, frame: &[u8]) {
    let flags = packet.tcp_flags;
    let (seq, len) = (packet.tcp_seq, packet.payload_len);
    let (begin, end, plain) = (flags & SYN != 0, flags & FIN != 0, flags & (SYN | FIN | RST) == 0);
    let next = seq.wrapping_add(len).wrapping_add(u32::from(begin)).wrapping_add(u32::from(end));

    if !plain {
        flag_letter(flow, side, flags, seq, next);
    }
    let first_syn = begin && !flow.sides[side].knows(known::ISN);
    if begin {
        syn(flow, side, share, packet, frame);
    }
    let own = &mut flow.sides[side];
    own.tcp_flags |= flags as u8;
    if !own.has_tcp {
        own.has_tcp = true;
        own.win_init = packet.tcp_window;
    }
    let window_before = own.last_window;
    own.last_window = packet.tcp_window;
    if packet.tcp_window == 0 && plain {
        let rare = own.rare_mut();
        rare.zero_window += 1;
        let times = rare.zero_window;
        flow.letter_at(side, b'w', times);
    }

    if first_syn && flow.sides[side].knows(known::SEQ) {
        flow.sides[side].rare_mut().ooo_pkts += 1; // its SYN stands behind later segments
    } else {
        sequence(flow, side, seq, next, flags, len > 0);
    }

    if flags & ACK != 0 {
        acknowledge(flow, side, share, packet, next == seq && window_before == packet.tcp_window);
    }
    if len > 0 {
        flow.letter(side, b'd');
    } else if plain && flags & ACK != 0 {
        flow.letter(side, b'a');
    }
    if plain {
        return;
    }
    let closed = flow.closed;
    let [low, high] = &mut flow.sides;
    let (own, other) = if side == 0 { (low, high) } else { (high, low) };
    if end {
        own.fin = true;
        own.fin_end = next;
        own.fin_acked |= other.knows(known::ACK) && !after(next, other.last_ack); // its acknowledgment stands before it
    }
    if flags & RST != 0 {
        own.rst |= !closed;
        own.rare_mut().rst_seq = seq;
    }
}

/// The letter of SYN, FIN and RST. `s`, `h`, `f` and `r` stand again when the number differs from the last one's.
#[inline(never)]
fn flag_letter(flow: &mut Flow, side: usize, flags: u16, seq: u32, next: u32) {
    let own = &flow.sides[side];
    let (letter, again) = match (flags & SYN != 0, flags & FIN != 0, flags & RST != 0) {
        (false, false, false) => return,
        (true, false, false) => (if flags & ACK != 0 { b'h' } else { b's' }, own.knows(known::ISN) && own.isn != seq),
        (true, ..) => (b'q', false),
        (false, true, true) => (b'i', false),
        (false, true, false) => (b'f', own.fin && own.fin_end != next),
        (false, false, true) => (b'r', own.tcp_flags & RST as u8 != 0 && own.rare().rst_seq != seq),
    };
    if again { flow.letter_again(side, letter) } else { flow.letter(side, letter) }
}

fn syn(flow: &mut Flow, side: usize, share: &Share, packet: &Packet, frame: &[u8]) {
    let answer = packet.tcp_flags & ACK != 0;
    let [low, high] = &mut flow.sides;
    let (own, other) = if side == 0 { (low, high) } else { (high, low) };
    let first = !own.knows(known::ISN);
    // Who keeps no state of half-open connections answers a repeated SYN with another number (RFC 4987, 3.6).
    let anew = !first && answer && own.isn != packet.tcp_seq && flow.seen & seen::ESTABLISHED == 0;
    if first || anew {
        own.isn = packet.tcp_seq;
        own.known |= known::ISN;
        own.mss = mss(packet, frame).unwrap_or(0);
    }
    if anew {
        own.next_seq = packet.tcp_seq;
        other.known &= !known::ACK;
        if let Some(rare) = own.rare_if_any() {
            rare.holes.clear();
        }
    }
    let originates = side == usize::from(flow.orig);
    if originates && !answer {
        if flow.seen & seen::SYN == 0 {
            flow.seen |= seen::SYN;
            flow.syn_ts = share.ts_or(UNKNOWN);
        } else if flow.seen & seen::SYNACK == 0 {
            flow.seen |= seen::SYN_AGAIN;
        }
    } else if !originates && answer {
        if flow.seen & seen::SYNACK == 0 {
            flow.seen |= seen::SYNACK;
            flow.synack_ts = share.ts_or(UNKNOWN);
        } else if flow.seen & seen::ESTABLISHED == 0 {
            flow.seen |= seen::SYNACK_AGAIN;
        }
    }
}

/// The maximum segment size option (RFC 9293, 3.2).
fn mss(packet: &Packet, frame: &[u8]) -> Option<u16> {
    let start = packet.transport as usize;
    let header_len = usize::from(frame.get(start + 12)? >> 4) * 4;
    let mut options = frame.get(start + 20..(start + header_len).min(frame.len()))?;
    loop {
        match options {
            [0, ..] | [] => return None,
            [1, rest @ ..] => options = rest,
            [2, 4, high, low, ..] => return Some(u16::from_be_bytes([*high, *low])),
            [_, len, ..] if *len >= 2 => options = options.get(usize::from(*len)..)?,
            _ => return None, // cut, or shorter than kind and length are
        }
    }
}

/// Moves the side's sequence space on; tells new data, holes, late segments and retransmissions apart.
#[inline(always)]
fn sequence(flow: &mut Flow, side: usize, seq: u32, next: u32, flags: u16, data: bool) {
    let own = &mut flow.sides[side];
    if flags & RST != 0 {
        return; // its number only has to be in the window (RFC 5961, 3)
    }
    if !own.knows(known::SEQ) {
        own.known |= known::SEQ;
        own.next_seq = next;
        return;
    }
    if next == seq {
        return; // nothing in sequence space: a bare acknowledgment
    }
    if seq == own.next_seq {
        own.next_seq = next;
    } else if after(seq, own.next_seq) {
        if !follows_keep_alive(own, seq, next) {
            let expected = own.next_seq;
            own.rare_mut().holes.open(expected, seq);
        }
        own.next_seq = next;
    } else if let Some(rare) = own.rare_if_any()
        && rare.holes.fill(seq, next)
    {
        rare.ooo_pkts += 1;
        if after(next, own.next_seq) {
            own.next_seq = next;
        }
    } else {
        // A keep-alive repeats the last byte on purpose (RFC 9293, 3.8.4): no retransmission.
        let keep_alive = next.wrapping_sub(seq) <= 1 && next == own.next_seq && flags & (SYN | FIN) == 0;
        if after(next, own.next_seq) {
            own.next_seq = next;
        }
        if !keep_alive {
            let rare = own.rare_mut();
            rare.retrans_pkts += 1;
            if data {
                rare.repeats += 1;
                let times = rare.repeats;
                flow.letter_at(side, b't', times);
            }
        }
    }
}

/// The first bytes of a side, whose capture begins with a keep-alive of one below them (RFC 9293, 3.8.4): none is missing.
fn follows_keep_alive(own: &Side, seq: u32, next: u32) -> bool {
    let first = own.payload_bytes <= u64::from(next.wrapping_sub(seq));
    first && !own.knows(known::ISN) && seq.wrapping_sub(own.next_seq) == 1
}

/// A TCP segment that IP cut: where its bytes begin in sequence space is known from its first fragment.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cut {
    /// The number that the first byte of the header would have.
    base: u32,
    fin: bool,
}

impl Cut {
    /// Of the packet with the header.
    #[must_use]
    pub fn of(packet: &Packet, frame: &[u8]) -> Option<Self> {
        let words = frame.get(packet.transport as usize + 12).filter(|_| packet.has_tcp)? >> 4;
        let begins = packet.tcp_seq.wrapping_add(u32::from(packet.tcp_flags & SYN != 0));
        Some(Self { base: begins.wrapping_sub(u32::from(words) * 4), fin: packet.tcp_flags & FIN != 0 })
    }

    /// Accounts bytes `start..end` of what IP carried, not those of the first fragment: with that the segment was counted.
    pub fn rest(self, own: &mut Side, start: u32, end: u32, last: bool) {
        if !own.knows(known::SEQ) {
            return;
        }
        let (start, end) = (self.base.wrapping_add(start), self.base.wrapping_add(end));
        let next = end.wrapping_add(u32::from(self.fin && last));
        if self.fin && last && own.fin && after(next, own.fin_end) {
            own.fin_end = next;
        }
        if after(start, own.next_seq) {
            let expected = own.next_seq;
            own.rare_mut().holes.open(expected, start);
        } else if let Some(rare) = own.rare_if_any() {
            rare.holes.fill(start, end);
        }
        if after(next, own.next_seq) {
            own.next_seq = next;
        }
    }
}

/// What an acknowledgment of `side` says of the other side.
#[inline(always)]
fn acknowledge(flow: &mut Flow, side: usize, share: &Share, packet: &Packet, bare: bool) {
    let ack = packet.tcp_ack;
    let plain = packet.tcp_flags & (SYN | FIN | RST) == 0;
    let [low, high] = &mut flow.sides;
    let (own, other) = if side == 0 { (low, high) } else { (high, low) };
    if bare
        && plain
        && own.knows(known::ACK)
        && own.last_ack == ack
        && other.knows(known::SEQ)
        && after(other.next_seq, ack)
    {
        own.rare_mut().dup_acks += 1;
    }
    if after(ack, other.next_seq) && other.knows(known::SEQ) && packet.tcp_flags & RST == 0 {
        flow.seen |= seen::BEYOND;
    }
    if !own.knows(known::ACK) || after(ack, own.last_ack) {
        own.last_ack = ack;
        own.known |= known::ACK;
    }
    if other.fin && !other.fin_acked && !after(other.fin_end, ack) {
        other.fin_acked = true;
    }
    if let Some(rare) = other.rare_if_any() {
        let known = rare.gaps;
        rare.gaps += rare.holes.acknowledged(ack);
        let now = rare.gaps;
        for times in known + 1..=now {
            flow.letter_at(side ^ 1, b'g', times);
        }
    }
    if packet.tcp_flags & (SYN | RST) == 0
        && flow.seen & (seen::SYNACK | seen::ESTABLISHED) == seen::SYNACK
        && side == usize::from(flow.orig)
        && ack.wrapping_sub(flow.sides[side ^ 1].isn) as i32 > 0
    {
        flow.seen |= seen::ESTABLISHED;
        flow.established_ts = share.ts_or(UNKNOWN);
    }
}

/// What can be said once a row is over: bytes at the end of a side that were acknowledged and never came are missing. Not
/// before, since an acknowledgment may stand in front of what it acknowledges.
pub fn settle(flow: &mut Flow) {
    if flow.seen & seen::BEYOND == 0 {
        return;
    }
    for side in [0, 1] {
        let (own, other) = (&flow.sides[side], &flow.sides[side ^ 1]);
        let beyond = own.knows(known::SEQ) && other.knows(known::ACK) && after(other.last_ack, own.next_seq);
        // Of another connection: an answer to a SYN that is none (RFC 5961, 4).
        let begun = !own.knows(known::ISN) || flow.seen & seen::ESTABLISHED != 0;
        if beyond && begun && !follows_keep_alive(own, other.last_ack, other.last_ack) {
            let rare = flow.sides[side].rare_mut();
            rare.gaps += 1;
            let times = rare.gaps;
            flow.letter_at(side, b'g', times);
        }
    }
}
