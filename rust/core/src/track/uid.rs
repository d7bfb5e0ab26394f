//! Names of flows that are the same on every run, and Community ID.

use super::flow::Flow;
use super::key::{PORTLESS, icmp_counterpart, is_ported};
use serde::{Deserialize, Serialize};
use sha1::block_api::compress;
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

/// SHA-1 of a few bytes (FIPS 180-4): at most 119, what two blocks hold. The hasher of the library is made for more, and to
/// feed it takes as long as to hash.
struct ShortSha1 {
    blocks: [[u8; 64]; 2],
    len: usize,
}

impl ShortSha1 {
    const MOST: usize = 128 - 9;

    fn new() -> Self {
        Self { blocks: [[0; 64]; 2], len: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.blocks.as_flattened_mut()[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn finish(mut self) -> [u8; 20] {
        let count = if self.len <= 64 - 9 { 1 } else { 2 };
        let all = self.blocks.as_flattened_mut();
        all[self.len] = 0x80;
        all[64 * count - 8..64 * count].copy_from_slice(&(8 * self.len as u64).to_be_bytes());
        let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
        compress(&mut state, &self.blocks[..count]);
        let mut digest = [0; 20];
        for (bytes, word) in digest.chunks_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }
}

/// The uid of a flow at a capture point (`netns`, interface name).
#[must_use]
pub fn uid(flow: &Flow, netns: Option<&str>, interface: Option<&str>) -> Uid {
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
    // Length first, so that ("a", "bc") and ("ab", "c") differ; absent is not the same as empty.
    let lens = [netns, interface].map(|text| text.map_or(u32::MAX, |text| text.len() as u32).to_be_bytes());
    let [netns, interface] = [netns, interface].map(|text| text.unwrap_or_default().as_bytes());
    let parts = [&lens[0], netns, &lens[1], interface, &all];
    let digest = if parts.iter().map(|part| part.len()).sum::<usize>() <= ShortSha1::MOST {
        let mut hash = ShortSha1::new();
        parts.iter().for_each(|part| hash.add(part));
        hash.finish()
    } else {
        parts.iter().fold(Sha1::new(), Sha1::chain_update).finalize().into()
    };
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
    let mut hash = ShortSha1::new();
    hash.add(&[0, 0]); // the seed
    hash.add(src);
    hash.add(dst);
    hash.add(&[k.proto, 0]);
    if ported {
        hash.add(&sport.to_be_bytes());
        hash.add(&dport.to_be_bytes());
    }
    let mut text = *b"1:                            ";
    base64(hash.finish(), &mut text[2..]);
    Some(text)
}

/// Appends a flow's Community ID; `false` if it has none.
pub fn write_community_id(flow: &Flow, out: &mut Vec<u8>) -> bool {
    let id = community_id(flow);
    out.extend(id.iter().flatten());
    id.is_some()
}

/// RFC 4648 base 64 of a digest, with padding.
fn base64(digest: [u8; 20], out: &mut [u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = [0; 21];
    bytes[..20].copy_from_slice(&digest);
    let (threes, _) = bytes.as_chunks::<3>();
    let (fours, _) = out.as_chunks_mut::<4>();
    for ([a, b, c], out) in threes.iter().zip(fours) {
        let word = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
        *out = [18, 12, 6, 0].map(|shift| DIGITS[(word >> shift & 63) as usize]);
    }
    // 20 bytes are two of the last three.
    if let Some(last) = out.last_mut() {
        *last = b'=';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_hashed_as_any() {
        for len in 0..=ShortSha1::MOST {
            let bytes: Vec<u8> = (0..len as u8).map(|byte| byte.wrapping_mul(37)).collect();
            let mut hash = ShortSha1::new();
            bytes.chunks(7).for_each(|part| hash.add(part));
            assert_eq!(hash.finish(), <[u8; 20]>::from(Sha1::digest(&bytes)), "{len}");
        }
    }

    #[test]
    fn a_uid_is_a_hash_of_all_that_names_a_flow() {
        let flow = Flow::new(super::super::key::FlowKey { vni: 7, proto: 17, family: 4, ..Default::default() });
        for len in 0..80 {
            let name = "n".repeat(len);
            let mut all = (len as u32).to_be_bytes().to_vec();
            all.extend(name.as_bytes());
            all.extend([0xff; 4]);
            all.extend([0; 40]);
            all.extend([0, 0, 0, 7]);
            all.extend([0; 10]);
            all.extend([17, 4]);
            all.extend([0; 24]);
            let digest = Sha1::digest(&all);
            assert_eq!(uid(&flow, Some(&name), None).0, digest[..12], "{len}");
        }
    }
}
