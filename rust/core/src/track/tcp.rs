//! What a TCP segment does to its flow: handshake, retransmission, gaps, close (RFC 9293).

use super::flow::{Flow, seen};
use crate::packet::Packet;

/// FIN flag.
pub const FIN: u16 = 0x01;
/// SYN flag.
pub const SYN: u16 = 0x02;
/// RST flag.
pub const RST: u16 = 0x04;
/// ACK flag.
pub const ACK: u16 = 0x10;

/// `a` is behind `b` in sequence space (RFC 9293, 3.4).
#[inline]
fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// A SYN that begins another connection on the same ports: it does not repeat one that this flow knows.
#[must_use]
pub fn begins_anew(flow: &Flow, side: usize, packet: &Packet) -> bool {
    if packet.tcp_flags & (SYN | RST) != SYN {
        return false;
    }
    let (own, other) = (&flow.sides[side], &flow.sides[side ^ 1]);
    if packet.tcp_flags & ACK != 0 {
        // A SYN-ACK alone begins anew only behind a closed connection of which it is no repetition.
        return flow.closed && own.has_isn && own.isn != packet.tcp_seq;
    }
    if own.has_isn {
        return own.isn != packet.tcp_seq;
    }
    // No SYN of this side is known: a flow met in the middle, or the other side's connection, now the other way round.
    // A bare SYN against a bare SYN is a simultaneous open (RFC 9293, 3.5, figure 7).
    own.pkts > 0 || flow.closed || other.has_seq && !other.has_isn
}

/// Decides who began, from the first packet (`side` sent it).
pub fn first(flow: &mut Flow, side: usize, packet: &Packet) {
    flow.orig = side as u8;
    if packet.tcp_flags & (SYN | ACK) == SYN | ACK {
        // The answer was seen first: its receiver began.
        flow.orig = (side ^ 1) as u8;
    }
}

/// Accounts one segment of `side`. `ts` is the packet's time.
#[inline]
pub fn segment(flow: &mut Flow, side: usize, ts: i64, packet: &Packet, frame: &[u8]) {
    let flags = packet.tcp_flags;
    let (seq, len) = (packet.tcp_seq, packet.payload_len);
    let begin = flags & SYN != 0;
    let end = flags & FIN != 0;
    let next = seq.wrapping_add(len).wrapping_add(u32::from(begin)).wrapping_add(u32::from(end));

    if begin {
        syn(flow, side, ts, packet, frame);
    }
    let first_window = flow.sides[side].pkts == 1;
    let own = &mut flow.sides[side];
    own.tcp_flags |= flags as u8;
    if first_window {
        own.win_init = packet.tcp_window;
    }
    let window_before = own.last_window;
    own.last_window = packet.tcp_window;
    if packet.tcp_window == 0 && flags & (SYN | RST) == 0 {
        own.zero_window += 1;
        flow.letter(side, b'w');
    }

    sequence(flow, side, seq, next, flags);

    if flags & ACK != 0 {
        acknowledge(flow, side, ts, packet, next == seq && window_before == packet.tcp_window);
    }
    if len > 0 {
        flow.letter(side, b'd');
    } else if flags & (SYN | FIN | RST) == 0 && flags & ACK != 0 {
        flow.letter(side, b'a');
    }
    if end {
        flow.letter(side, b'f');
        let own = &mut flow.sides[side];
        own.fin = true;
        own.fin_end = next;
    }
    if flags & RST != 0 {
        flow.letter(side, b'r');
        flow.sides[side].rst = true;
    }
}

fn syn(flow: &mut Flow, side: usize, ts: i64, packet: &Packet, frame: &[u8]) {
    let answer = packet.tcp_flags & ACK != 0;
    flow.letter(side, if answer { b'h' } else { b's' });
    let own = &mut flow.sides[side];
    if !own.has_isn {
        own.isn = packet.tcp_seq;
        own.has_isn = true;
        own.mss = mss(packet, frame).unwrap_or(0);
    }
    if side == usize::from(flow.orig) && !answer {
        if flow.seen & seen::SYN != 0 && flow.seen & seen::SYNACK == 0 {
            flow.seen |= seen::SYN_AGAIN;
        }
        if flow.seen & seen::SYNACK == 0 {
            flow.syn_ts = ts;
        }
        flow.seen |= seen::SYN;
    } else if answer && flow.seen & seen::SYNACK == 0 {
        flow.seen |= seen::SYNACK;
        flow.synack_ts = ts;
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
            [_, len, ..] => options = options.get(usize::from(*len).max(2)..)?,
            [_] => return None,
        }
    }
}

/// Moves the side's sequence space on; tells new data, holes, late segments and retransmissions apart.
fn sequence(flow: &mut Flow, side: usize, seq: u32, next: u32, flags: u16) {
    let own = &mut flow.sides[side];
    if flags & RST != 0 {
        return; // its number only has to be in the window (RFC 5961, 3)
    }
    if !own.has_seq {
        own.has_seq = true;
        own.next_seq = next;
        return;
    }
    if next == seq {
        return; // nothing in sequence space: a bare acknowledgment
    }
    if seq == own.next_seq {
        own.next_seq = next;
    } else if after(seq, own.next_seq) {
        let expected = own.next_seq;
        own.holes.open(expected, seq);
        own.next_seq = next;
        flow.letter(side, b'g');
    } else if own.holes.fill(seq, next) {
        own.ooo_pkts += 1;
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
            own.retrans_pkts += 1;
            flow.letter(side, b't');
        }
    }
}

/// What an acknowledgment of `side` says of the other side.
fn acknowledge(flow: &mut Flow, side: usize, ts: i64, packet: &Packet, bare: bool) {
    let ack = packet.tcp_ack;
    let plain = packet.tcp_flags & (SYN | FIN | RST) == 0;
    let [low, high] = &mut flow.sides;
    let (own, other) = if side == 0 { (low, high) } else { (high, low) };
    if bare && plain && own.has_ack && own.last_ack == ack && other.has_seq && after(other.next_seq, ack) {
        own.dup_acks += 1;
    }
    if !own.has_ack || after(ack, own.last_ack) {
        own.last_ack = ack;
        own.has_ack = true;
    }
    if other.fin && !other.fin_acked && !after(other.fin_end, ack) {
        other.fin_acked = true;
    }
    if plain
        && flow.seen & (seen::SYN | seen::SYNACK | seen::ESTABLISHED) == seen::SYN | seen::SYNACK
        && side == usize::from(flow.orig)
        && ack.wrapping_sub(flow.sides[side ^ 1].isn) as i32 > 0
    {
        flow.seen |= seen::ESTABLISHED;
        flow.established_ts = ts;
    }
}
