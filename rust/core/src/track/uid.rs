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
        // Two halves of u64 arithmetic instead of 17 divisions of a u128.
        let value = u128::from_be_bytes(wide);
        const HALF: u128 = 62u128.pow(9);
        let (mut high, mut low) = ((value / HALF) as u64, (value % HALF) as u64);
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
    hash.update(k.low);
    hash.update(k.high);
    let mut rest = [0; 48];
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
    hash.update(rest);
    let digest = hash.finalize();
    let mut out = [0; 12];
    out.copy_from_slice(&digest[..12]);
    Uid(out)
}

/// Community ID version 1 with seed 0; `None` for flows without IP.
///
/// Source: <https://github.com/corelight/community-id-spec>
#[must_use]
pub fn community_id(flow: &Flow) -> Option<String> {
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
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    hash.update(src);
    hash.update(dst);
    hash.update([k.proto, 0]);
    if ported {
        hash.update(sport.to_be_bytes());
        hash.update(dport.to_be_bytes());
    }
    let mut text = String::with_capacity(30);
    text.push_str("1:");
    base64(&hash.finalize(), &mut text);
    Some(text)
}

/// RFC 4648 base 64 with padding, for the 20 bytes of a digest.
fn base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |word, (i, byte)| word | u32::from(*byte) << (16 - 8 * i));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(char::from(DIGITS[(word >> (18 - 6 * i) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
}
