//! One flow: both directions of a conversation, from its first packet to the reason it ended.

use super::key::FlowKey;
use super::side::Side;
use super::uid::Uid;
use crate::app::Kept;
use crate::decode::Proto;
use crate::stream::Watch;
use serde::{Deserialize, Serialize};

/// Why a row ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum EndReason {
    /// The input ended first.
    #[default]
    Eof,
    /// Both FINs were acknowledged.
    Fin,
    /// A reset.
    Rst,
    /// A new SYN with another initial sequence number.
    Reuse,
    /// No packets for longer than the idle timeout.
    Idle,
    /// Older than the active timeout.
    Active,
    /// The table was full.
    Evicted,
}

impl EndReason {
    /// The text of the `end_reason` column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eof => "eof",
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Reuse => "reuse",
            Self::Idle => "idle",
            Self::Active => "active",
            Self::Evicted => "evicted",
        }
    }
}

/// Longest `history`, letters. Zeek's are unbounded; a hostile flow could grow one without end.
pub const MAX_HISTORY: usize = 32;

/// Uids that a flow keeps; most keep none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Uids {
    own: Option<Uid>,
    parent: Option<Uid>,
}

/// A flow and everything counted of it. `sides[0]` is the key's low end. A packet of either side changes four cache lines:
/// the key stands in one, what is common in the next, in which the first side begins, and so on; the rest is behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[repr(C, align(64))]
pub struct Flow {
    /// Its key.
    pub key: FlowKey,
    /// Latest recorded packet time, ns; before `ts` while there is none.
    pub ts_end: i64,
    /// Number of its last frame.
    pub last_frame: u64,
    /// Earliest recorded packet time, ns.
    pub ts: i64,
    /// Number of its first frame.
    pub first_frame: u64,
    /// What is done with its bytes.
    pub watch: Watch,
    /// Which side is the originator.
    pub orig: u8,
    /// Why it ended; [`EndReason::Eof`] while it has not.
    pub end: EndReason,
    /// TCP: closed by FINs or RST; packets without SYN still count here for a while.
    pub closed: bool,
    /// The row has ended: nothing more comes to it.
    #[serde(skip)]
    pub over: bool,
    /// The last packet has a recorded time; without, how long the flow has been quiet is unknown.
    pub timed: bool,
    /// Bits of [`seen`].
    pub seen: u8,
    /// Application that the content showed.
    pub service: Option<Proto>,
    history_len: u8,
    /// Per direction, by the end that sends.
    pub sides: [Side; 2],
    /// What its bytes said.
    pub facts: Option<Kept>,
    uids: Option<Box<Uids>>,
    /// Time of the packet that began it, else its number, part of the uid: `ts` is an earlier one's where they are out of order.
    pub first_ts: i64,
    /// Time of the originator's first SYN, ns, or [`UNKNOWN`].
    pub syn_ts: i64,
    /// Time of the SYN-ACK, the same.
    pub synack_ts: i64,
    /// Time of the acknowledgment that completed the handshake, the same.
    pub established_ts: i64,
    /// Sequence number of the first packet, part of the uid.
    pub first_seq: u32,
    /// Rows of the same key just before it that began at the same time, part of the uid.
    pub twins: u8,
    /// ICMP type of the first packet.
    pub icmp_type: u8,
    /// ICMP code of the first packet.
    pub icmp_code: u8,
    /// The ICMP type and code are there.
    pub has_icmp: bool,
    history: [u8; MAX_HISTORY],
}

/// Stands for a time that was not recorded.
pub const UNKNOWN: i64 = i64::MIN;

/// What has been seen of a TCP handshake: bits of [`Flow::seen`].
pub mod seen {
    /// A SYN of the originator.
    pub const SYN: u8 = 1;
    /// A SYN-ACK of the responder.
    pub const SYNACK: u8 = 2;
    /// The originator's acknowledgment of it.
    pub const ESTABLISHED: u8 = 4;
    /// The SYN was sent more than once before the answer: round-trip times are ambiguous.
    pub const SYN_AGAIN: u8 = 8;
    /// The SYN-ACK was sent more than once before the acknowledgment: the same.
    pub const SYNACK_AGAIN: u8 = 16;
    /// An acknowledgment of more than the other side had sent.
    pub const BEYOND: u8 = 32;
}

impl Flow {
    /// A flow without packets.
    #[must_use]
    pub fn new(key: FlowKey) -> Self {
        Self {
            key,
            ts: i64::MAX,
            ts_end: i64::MIN,
            first_ts: 0,
            timed: false,
            first_frame: 0,
            last_frame: 0,
            sides: [Side::default(), Side::default()],
            orig: 0,
            end: EndReason::Eof,
            closed: false,
            over: false,
            icmp_type: 0,
            icmp_code: 0,
            has_icmp: false,
            syn_ts: 0,
            synack_ts: 0,
            established_ts: 0,
            seen: 0,
            history_len: 0,
            history: [0; MAX_HISTORY],
            service: None,
            first_seq: 0,
            twins: 0,
            uids: None,
            watch: Watch::UNDECIDED,
            facts: None,
        }
    }

    /// Whether some packet has a recorded time; without, its times are unknown.
    #[must_use]
    #[inline]
    pub fn has_times(&self) -> bool {
        self.ts <= self.ts_end
    }

    /// How long it has been quiet at a time, ns; 0 where that cannot be known.
    #[must_use]
    #[inline]
    pub fn quiet(&self, now: i64) -> i64 {
        if self.timed { now.saturating_sub(self.ts_end) } else { 0 }
    }

    /// Its uid, if it was asked for at the beginning.
    #[must_use]
    pub fn uid(&self) -> Option<Uid> {
        self.uids.as_ref()?.own
    }

    /// Keeps its uid.
    pub fn keep_uid(&mut self, uid: Uid) {
        self.uids.get_or_insert_default().own = Some(uid);
    }

    /// The flow that an ICMP error speaks of.
    #[must_use]
    pub fn parent(&self) -> Option<Uid> {
        self.uids.as_ref()?.parent
    }

    /// Keeps what flow an ICMP error speaks of.
    pub fn keep_parent(&mut self, uid: Uid) {
        self.uids.get_or_insert_default().parent = Some(uid);
    }

    /// The originator's side.
    #[must_use]
    pub fn originator(&self) -> &Side {
        &self.sides[usize::from(self.orig & 1)]
    }

    /// The responder's side.
    #[must_use]
    pub fn responder(&self) -> &Side {
        &self.sides[usize::from(self.orig & 1 ^ 1)]
    }

    /// The originator's address bytes.
    #[must_use]
    pub fn orig_addr(&self) -> &[u8; 16] {
        if self.orig == 0 { &self.key.low } else { &self.key.high }
    }

    /// The responder's address bytes.
    #[must_use]
    pub fn resp_addr(&self) -> &[u8; 16] {
        if self.orig == 0 { &self.key.high } else { &self.key.low }
    }

    /// The originator's port.
    #[must_use]
    pub fn orig_port(&self) -> u16 {
        self.key.ports[usize::from(self.orig & 1)]
    }

    /// The responder's port.
    #[must_use]
    pub fn resp_port(&self) -> u16 {
        self.key.ports[usize::from(self.orig & 1 ^ 1)]
    }

    /// Adds Zeek's letter for side `side`, once (upper case for the originator).
    ///
    /// Of Zeek's letters `c` (bad checksum) and `x` (analysis given up) are never written: checksums are not judged.
    /// Source: <https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html>
    #[inline]
    pub fn letter(&mut self, side: usize, letter: u8) {
        const LETTERS: &[u8; 11] = b"shadfrgtwiq";
        let bit = LETTERS.iter().position(|l| *l == letter).map_or(0, |at| 1u16 << at);
        if self.sides[side].letters & bit == 0 {
            self.sides[side].letters |= bit;
            self.letter_again(side, letter);
        }
    }

    /// Adds a letter whether or not it stands already.
    pub fn letter_again(&mut self, side: usize, letter: u8) {
        if usize::from(self.history_len) < MAX_HISTORY {
            let case = if side == usize::from(self.orig) { 0x20 } else { 0 };
            self.history[usize::from(self.history_len)] = letter ^ case;
            self.history_len += 1;
        }
    }

    /// Adds a letter of those that Zeek counts by powers of ten: at the 1st, 10th, 100th, … time.
    pub fn letter_at(&mut self, side: usize, letter: u8, times: u32) {
        if times.checked_ilog10().is_some_and(|power| 10u32.pow(power) == times) {
            self.letter_again(side, letter);
        }
    }

    /// The history letters; empty for protocols in which Zeek knows none.
    #[must_use]
    pub fn history(&self) -> &[u8] {
        &self.history[..usize::from(self.history_len)]
    }

    /// Zeek's `conn_state`; `None` for flows without IP.
    ///
    /// Source: <https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html#type-Conn::Info>
    #[must_use]
    pub fn conn_state(&self) -> Option<&'static str> {
        if self.key.family != 4 && self.key.family != 6 {
            return None;
        }
        let (orig, resp) = (self.originator(), self.responder());
        match self.key.proto {
            6 => Some(tcp_state(self.seen, orig, resp)),
            17 => Some(match (orig.pkts > 0, resp.pkts > 0) {
                (true, true) => "SF",
                (true, false) => "S0",
                (false, true) => "SHR",
                (false, false) => "OTH",
            }),
            _ => Some("OTH"),
        }
    }
}

/// What Zeek's `conn_state` function makes of the states of both ends, except that traffic without any SYN is `OTH`, as its
/// documentation says, however it ends.
fn tcp_state(bits: u8, orig: &Side, resp: &Side) -> &'static str {
    let (syn, synack) = (bits & seen::SYN != 0, bits & seen::SYNACK != 0);
    match (syn, synack) {
        (false, false) => "OTH",
        (true, false) if resp.rst && resp.payload_bytes == 0 => "REJ",
        (false, true) if resp.rst && !orig.fin && !orig.rst => "RSTRH",
        _ if resp.rst => "RSTR",
        (true, false) if orig.rst && !resp.fin => "RSTOS0",
        _ if orig.rst => "RSTO",
        _ if orig.fin && resp.fin => "SF",
        (true, false) if orig.fin => "SH",
        _ if orig.fin => "S2",
        (false, true) if resp.fin => "SHR",
        _ if resp.fin => "S3",
        (true, true) => "S1",
        (true, false) if resp.pkts == 0 => "S0",
        _ => "OTH",
    }
}
