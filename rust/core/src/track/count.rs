//! What one frame changes in its flow, whatever the protocol.

use super::flow::{EndReason, Flow};
use super::side::known;
use super::{Share, key};
use crate::packet::{NONE, Packet};

/// Adds a frame to the counters of one side. Whether it is the flow's first.
#[inline(always)]
pub(super) fn count(flow: &mut Flow, side: usize, share: &Share) -> bool {
    let new = flow.first_frame == 0;
    if new {
        flow.first_frame = share.number;
    }
    flow.first_frame = flow.first_frame.min(share.number);
    flow.last_frame = flow.last_frame.max(share.number);
    flow.timed = share.timed;
    let own = &mut flow.sides[side];
    if share.timed {
        flow.ts = flow.ts.min(share.ts);
        flow.ts_end = flow.ts_end.max(share.ts);
    } else {
        own.known |= known::UNTIMED;
    }
    if own.pkts > 0 {
        // Times that run back count as no time passed, so that the times between packets never add up to more than the
        // flow's duration.
        own.iat.add(share.ts.saturating_sub(own.last_ts).max(0) as u64);
        own.ttl_min = own.ttl_min.min(share.ttl);
        own.last_ts = own.last_ts.max(share.ts);
    } else {
        own.ttl_min = share.ttl;
        (own.first_ts, own.last_ts) = (share.ts, share.ts);
    }
    own.ttl_max = own.ttl_max.max(share.ttl);
    own.pkts += 1;
    own.bytes += u64::from(share.frame_len);
    own.ip_bytes += u64::from(share.ip_len);
    own.payload_bytes += u64::from(share.payload_len);
    if share.truncated {
        own.rare_mut().truncated_pkts += 1;
    }
    own.len.add(share.frame_len);
    new
}

/// Remembers the hardware address that a side sends from.
#[inline]
pub(super) fn note_l2(flow: &mut Flow, side: usize, packet: &Packet, frame: &[u8]) {
    if flow.sides[side].has_l2 {
        return;
    }
    if packet.eth == NONE {
        if let Some(source) = key::cooked_source(packet, frame) {
            (flow.sides[side].l2, flow.sides[side].has_l2) = (source, true);
        }
        return;
    }
    let at = packet.eth as usize;
    if let Some(header) = frame.get(at..at + 12) {
        flow.sides[side].l2.copy_from_slice(&header[6..12]);
        flow.sides[side].has_l2 = true;
        let other = &mut flow.sides[side ^ 1];
        // The other side's address is known as a destination until it speaks itself; not if that is a group address.
        if !other.has_l2 && header[0] & 1 == 0 && other.pkts == 0 {
            other.l2.copy_from_slice(&header[..6]);
        }
    }
}

/// TCP closes when both FINs are acknowledged, or by RST (RFC 9293, 3.6).
#[inline]
pub(super) fn close(flow: &mut Flow) {
    if flow.closed {
        return;
    }
    let [low, high] = &flow.sides;
    if low.rst || high.rst {
        (flow.closed, flow.end) = (true, EndReason::Rst);
    } else if low.fin_acked && high.fin_acked {
        (flow.closed, flow.end) = (true, EndReason::Fin);
    }
}
