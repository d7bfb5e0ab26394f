//! Names of flows that are the same on every run, and Community ID.

use super::flow::Flow;
use super::key::{PORTLESS, icmp_counterpart, is_ported};
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

/// 96 bits that name a flow: a hash of its capture point, key and first packet. Same bytes in, same uid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uid(pub [u8; 12]);

impl Uid {
    /// Length of the text.
    pub const TEXT: usize = 18;

    /// `C` and 17 base-62 digits, the shape of Zeek's uids.
    #[must_use]
    pub fn text(self) -> [u8; Self::TEXT] {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut wide = [0; 16];
        wide[4..].copy_from_slice(&self.0);
        // Two halves of u64 arithmetic instead of 17 divisions of a u128, and one of those instead of two.
        let value = u128::from_be_bytes(wide);
        const HALF: u128 = 62u128.pow(9);
        let quotient = value / HALF;
        let (mut high, mut low) = (quotient as u64, (value - quotient * HALF) as u64);
        let mut out = [b'C'; Self::TEXT];
        for at in (9..18).rev() {
            out[at] = DIGITS[(low % 62) as usize];
            low /= 62;
        }
        for at in (1..9).rev() {
            out[at] = DIGITS[(high % 62) as usize];
            high /= 62;
        }
        out
    }

    /// Appends the text.
    pub fn write(self, out: &mut String) {
        push_ascii(&self.text(), out);
    }
}

/// Appends digits and letters in one go; one character at a time takes several times as long.
pub(crate) fn push_ascii(bytes: &[u8], out: &mut String) {
    let text = std::str::from_utf8(bytes);
    debug_assert!(text.is_ok(), "ASCII is UTF-8");
    out.push_str(text.unwrap_or_default());
}

/// The uid of a flow at a capture point (`netns`, interface name).
#[must_use]
pub fn uid(flow: &Flow, netns: Option<&str>, interface: Option<&str>) -> Uid {
    let mut hash = Sha1::new();
    for text in [netns, interface] {
        // Length first, so that ("a", "bc") and ("ab", "c") differ; absent is not the same as empty.
        hash.update((text.map_or(u32::MAX, |t| t.len() as u32)).to_be_bytes());
        hash.update(text.unwrap_or(""));
    }
    let k = &flow.key;
    let mut all = [0; 80];
    all[..16].copy_from_slice(&k.low);
    all[16..32].copy_from_slice(&k.high);
    let rest = &mut all[32..];
    rest[..8].copy_from_slice(&k.vlans.to_be_bytes());
    rest[8..12].copy_from_slice(&k.vni.to_be_bytes());
    rest[12..16].copy_from_slice(&k.extra.to_be_bytes());
    rest[16..18].copy_from_slice(&k.ports[0].to_be_bytes());
    rest[18..20].copy_from_slice(&k.ports[1].to_be_bytes());
    rest[20..22].copy_from_slice(&k.ethertype.to_be_bytes());
    rest[22] = k.proto;
    rest[23] = k.family;
    rest[24] = k.tunnel as u8;
    rest[32..40].copy_from_slice(&flow.first_ts.to_be_bytes());
    rest[40..44].copy_from_slice(&flow.first_seq.to_be_bytes());
    hash.update(all);
    let digest = hash.finalize();
    let mut out = [0; 12];
    out.copy_from_slice(&digest[..12]);
    Uid(out)
}

/// Length of a Community ID, bytes: `1:` and 20 bytes in base 64.
pub const COMMUNITY_ID: usize = 30;

/// Community ID version 1 with seed 0, as ASCII; `None` for flows without IP.
///
/// Source: <https://github.com/corelight/community-id-spec>
#[must_use]
pub fn community_id(flow: &Flow) -> Option<[u8; COMMUNITY_ID]> {
    let k = &flow.key;
    let width = match k.family {
        4 => 4,
        6 => 16,
        _ => return None,
    };
    let (src, dst) = (&flow.orig_addr()[..width], &flow.resp_addr()[..width]);
    let mut one_way = false;
    let (sport, dport, ported) = match k.proto {
        1 | 58 if flow.has_icmp => {
            let answer = icmp_counterpart(k.family, flow.icmp_type);
            one_way = answer.is_none();
            (u16::from(flow.icmp_type), u16::from(answer.unwrap_or(flow.icmp_code)), true)
        }
        proto if is_ported(proto) && k.extra != PORTLESS => (flow.orig_port(), flow.resp_port(), true),
        _ => (0, 0, false),
    };
    let swap = !one_way && (dst, dport) < (src, sport);
    let (src, dst, sport, dport) = if swap { (dst, src, dport, sport) } else { (src, dst, sport, dport) };
    // Seed, addresses, protocol, a zero, ports.
    let mut all = [0; 2 + 2 * 16 + 2 + 4];
    let at = 2 + 2 * width;
    all[2..2 + width].copy_from_slice(src);
    all[2 + width..at].copy_from_slice(dst);
    all[at] = k.proto;
    all[at + 2..at + 4].copy_from_slice(&sport.to_be_bytes());
    all[at + 4..at + 6].copy_from_slice(&dport.to_be_bytes());
    let mut text = *b"1:                            ";
    base64(&Sha1::digest(&all[..at + if ported { 6 } else { 2 }]), &mut text[2..]);
    Some(text)
}

/// Appends a flow's Community ID; `false` if it has none.
pub fn write_community_id(flow: &Flow, out: &mut Vec<u8>) -> bool {
    let id = community_id(flow);
    out.extend(id.iter().flatten());
    id.is_some()
}

/// RFC 4648 base 64 with padding.
fn base64(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (chunk, out) in bytes.chunks(3).zip(out.chunks_mut(4)) {
        let word = chunk.iter().enumerate().fold(0u32, |word, (i, byte)| word | u32::from(*byte) << (16 - 8 * i));
        for (i, out) in out.iter_mut().enumerate() {
            *out = if i <= chunk.len() { DIGITS[(word >> (18 - 6 * i) & 63) as usize] } else { b'=' };
        }
    }
}
