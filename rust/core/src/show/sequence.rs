//! Relative TCP sequence numbers, as tcpdump prints them: counted from the first segment seen of a conversation.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// How many conversations are remembered; the oldest is forgotten for a new one.
pub const MAX_CONVERSATIONS: usize = 65_536;

/// One end of a segment.
pub type End = (IpAddr, u16);

/// Both ends, the lower port first, so that both directions find the same entry.
type Key = (End, End);

/// What is subtracted from the numbers of one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// From the sequence number.
    pub seq: u32,
    /// From the acknowledgment number, and from selective acknowledgments.
    pub ack: u32,
}

/// The first numbers of each conversation.
#[derive(Debug, Default)]
pub struct Sequences {
    known: HashMap<Key, Base>,
    order: VecDeque<Key>,
    /// How many conversations were forgotten because there were too many.
    pub evicted: u64,
}

impl Sequences {
    /// The base for a segment with ACK; its own numbers become the base, and are printed whole, when the conversation
    /// is new or `syn` begins it anew.
    pub fn base(&mut self, src: End, dst: End, seq: u32, ack: u32, syn: bool) -> Base {
        let forward = (src.1, src.0) < (dst.1, dst.0);
        let key = if forward { (src, dst) } else { (dst, src) };
        match self.known.get(&key) {
            Some(base) if !syn => {
                if forward {
                    *base
                } else {
                    Base { seq: base.ack, ack: base.seq }
                }
            }
            _ => {
                let (mine, theirs) = (seq, ack.wrapping_sub(1));
                let base = if forward { Base { seq: mine, ack: theirs } } else { Base { seq: theirs, ack: mine } };
                self.remember(key, base);
                Base::default()
            }
        }
    }

    fn remember(&mut self, key: Key, base: Base) {
        if self.known.insert(key, base).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.known.len() > MAX_CONVERSATIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: End = (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 40_000);
    const SERVER: End = (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 80);

    #[test]
    fn both_directions_count_from_the_handshake() {
        let mut sequences = Sequences::default();
        assert_eq!(sequences.base(SERVER, CLIENT, 5000, 101, true), Base::default());
        assert_eq!(sequences.base(CLIENT, SERVER, 101, 5001, false), Base { seq: 100, ack: 5000 });
        assert_eq!(sequences.base(SERVER, CLIENT, 5001, 101, false), Base { seq: 5000, ack: 100 });
    }

    #[test]
    fn the_table_is_bounded() {
        let mut sequences = Sequences::default();
        for number in 0..70_000_u32 {
            sequences.base((CLIENT.0, (number % 60_000) as u16), (IpAddr::from(number.to_be_bytes()), 1), 1, 1, false);
        }
        assert_eq!(sequences.known.len(), MAX_CONVERSATIONS);
        assert_eq!(sequences.evicted, 70_000 - MAX_CONVERSATIONS as u64);
    }
}
