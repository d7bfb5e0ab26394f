//! Names of flows that are the same on every run, and Community ID.

use super::flow::Flow;
use super::key::{ARP, PORTLESS, icmp_counterpart, is_ported};
use serde::{Deserialize, Serialize};
use sha1::block_api::compress;
use sha1::{Digest, Sha1};
use smallvec::SmallVec;

/// 96 bits that name a flow: a hash of its capture point, key and first packet. Same bytes in, same uid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uid(pub [u8; 12]);

impl Uid {
    /// Length of the text.
    pub const TEXT: usize = 18;

    /// `C` and 17 base-62 digits, the shape of Zeek's uids.
    #[must_use]
    pub fn text(self) -> [u8; Self::TEXT] {
        const FOUR: u64 = 62u64.pow(4);
        const EIGHT: u64 = 62u64.pow(8);
        const NINE: u128 = 62u128.pow(9);
        let mut wide = [0; 16];
        wide[4..].copy_from_slice(&self.0);
        // One division of a u128, and from there on by halves: digits in pairs, no chain of 17 divisions.
        let value = u128::from_be_bytes(wide);
        let quotient = value / NINE;
        let (high, low) = (quotient as u64, (value - quotient * NINE) as u64);
        let (ninth, low) = (low / EIGHT, low % EIGHT);
        let [a, b] = four(high / FOUR);
        let [c, d] = four(high % FOUR);
        let [e, f] = four(low / FOUR);
        let [g, h] = four(low % FOUR);
        let mut out = [b'C'; Self::TEXT];
        for (to, pair) in [1, 3, 5, 7, 10, 12, 14, 16].into_iter().zip([a, b, c, d, e, f, g, h]) {
            out[to..to + 2].copy_from_slice(&pair);
        }
        out[9] = BASE_62[ninth as usize][1];
        out
    }

    /// Appends the text.
    pub fn write(self, out: &mut String) {
        push_ascii(&self.text(), out);
    }
}

/// Two digits of each number that has no more, in base 62.
static BASE_62: [[u8; 2]; 62 * 62] = pairs(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

/// The same in base 64 of RFC 4648.
static BASE_64: [[u8; 2]; 64 * 64] = pairs(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

const fn pairs<const BASE: usize, const SQUARE: usize>(digits: &[u8; BASE]) -> [[u8; 2]; SQUARE] {
    let (mut pairs, mut at) = ([[0; 2]; SQUARE], 0);
    while at < SQUARE {
        pairs[at] = [digits[at / BASE], digits[at % BASE]];
        at += 1;
    }
    pairs
}

/// The lowest four base-62 digits of a number, in pairs.
#[inline]
fn four(number: u64) -> [[u8; 2]; 2] {
    const SQUARE: u64 = BASE_62.len() as u64;
    [BASE_62[(number / SQUARE % SQUARE) as usize], BASE_62[(number % SQUARE) as usize]]
}

/// Appends digits and letters in one go; one character at a time takes several times as long.
pub(crate) fn push_ascii(bytes: &[u8], out: &mut String) {
    let text = std::str::from_utf8(bytes);
    debug_assert!(text.is_ok(), "ASCII is UTF-8");
    out.push_str(text.unwrap_or_default());
}

/// A few bytes as SHA-1 takes them (FIPS 180-4, 5.1.1): at most 119, what two blocks hold. The hasher of the library is made
/// for more, and to feed it takes as long as to hash.
struct Hashed {
    blocks: [[u8; 64]; 2],
    len: usize,
}

impl Hashed {
    fn new() -> Self {
        Self { blocks: [[0; 64]; 2], len: 0 }
    }

    /// In line, so that to add bytes of a known number is to store them.
    #[inline(always)]
    fn add(&mut self, bytes: &[u8]) {
        self.blocks.as_flattened_mut()[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Adds two addresses: all of their bytes, or of IPv4 addresses the first four.
    #[inline(always)]
    fn add_addresses(&mut self, are_ipv4: bool, [one, other]: [&[u8; 16]; 2]) {
        if are_ipv4 {
            self.add(&one[..4]);
            self.add(&other[..4]);
        } else {
            self.add(one);
            self.add(other);
        }
    }

    /// How many blocks they are.
    fn count(&self) -> usize {
        if self.len <= 64 - 9 { 1 } else { 2 }
    }

    /// All that was to be added is there.
    #[inline]
    fn end(mut self) -> Self {
        let count = self.count();
        let all = self.blocks.as_flattened_mut();
        all[self.len] = 0x80;
        all[64 * count - 8..64 * count].copy_from_slice(&(8 * self.len as u64).to_be_bytes());
        self
    }

    /// The digest, once they have ended.
    #[inline]
    fn digest(&self) -> [u8; 20] {
        let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
        compress(&mut state, &self.blocks[..self.count()]);
        let mut digest = [0; 20];
        for (bytes, word) in digest.chunks_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }
}

/// Length of what stands for a capture point in the uids of its flows.
pub const POINT: usize = 10;

/// What stands for a capture point (`netns`, interface name): a part of the SHA-1 of both.
#[must_use]
pub fn point(netns: Option<&str>, interface: Option<&str>) -> [u8; POINT] {
    // Length first, so that ("a", "bc") and ("ab", "c") differ; absent is not the same as empty.
    let digest = [netns, interface].into_iter().fold(Sha1::new(), |hash, name| {
        let len = name.map_or(u32::MAX, |name| name.len() as u32);
        hash.chain_update(len.to_be_bytes()).chain_update(name.unwrap_or_default())
    });
    let mut out = [0; POINT];
    out.copy_from_slice(&digest.finalize()[..POINT]);
    out
}

/// The uid of a flow at a capture point, by what [`point`] says of that.
#[must_use]
pub fn uid(flow: &Flow, point: &[u8; POINT]) -> Uid {
    uid_of(&named(flow, point))
}

/// The uids of several.
#[must_use]
pub fn uids<'a>(flows: &[&'a Flow], point: impl Fn(&'a Flow) -> &'a [u8; POINT]) -> Vec<Uid> {
    together(flows, |flow| named(flow, point(flow)), uid_of)
}

/// What is made of hashes of several flows. The processor works on two digests at a time where nothing else is between them.
fn together<'a, H, T>(flows: &[&'a Flow], prepare: impl Fn(&'a Flow) -> H, digest: impl Fn(&H) -> T) -> Vec<T> {
    let mut made = Vec::with_capacity(flows.len());
    for flows in flows.chunks(16) {
        let hashed: SmallVec<[H; 16]> = flows.iter().map(|flow| prepare(flow)).collect();
        made.extend(hashed.iter().map(&digest));
    }
    made
}

fn uid_of(hashed: &Hashed) -> Uid {
    let mut out = [0; 12];
    out.copy_from_slice(&hashed.digest()[..12]);
    Uid(out)
}

/// What a uid is a hash of. Of IPv4 it is one block to the byte.
#[inline]
fn named(flow: &Flow, point: &[u8; POINT]) -> Hashed {
    let k = &flow.key;
    let mut hashed = Hashed::new();
    hashed.add(&[k.family, k.proto, k.tunnel as u8]);
    hashed.add(&k.ethertype.to_be_bytes());
    hashed.add(point);
    hashed.add(&k.vlans.to_be_bytes());
    hashed.add(&k.vni.to_be_bytes());
    hashed.add(&k.extra.to_be_bytes());
    hashed.add(&k.ports[0].to_be_bytes());
    hashed.add(&k.ports[1].to_be_bytes());
    hashed.add(&flow.first_ts.to_be_bytes());
    hashed.add(&flow.first_seq.to_be_bytes());
    hashed.add_addresses(matches!(k.family, 4 | ARP), [&k.low, &k.high]);
    if flow.twins > 0 {
        hashed.add(&[flow.twins]);
    }
    hashed.end()
}

/// Community ID version 1 with seed 0.
///
/// Source: <https://github.com/corelight/community-id-spec>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommunityId([u8; 20]);

impl CommunityId {
    /// Length of the text: `1:` and 20 bytes in base 64.
    const TEXT: usize = 30;

    /// Those of several flows; `None` without IP.
    #[must_use]
    pub fn all(flows: &[&Flow]) -> Vec<Option<Self>> {
        together(flows, ends, |hashed| hashed.as_ref().map(|hashed| Self(hashed.digest())))
    }

    /// Appends the text, ASCII.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + Self::TEXT, b':');
        out[start] = b'1';
        base64(&self.0, &mut out[start + 2..]);
    }
}

/// What a Community ID is a hash of.
#[inline]
fn ends(flow: &Flow) -> Option<Hashed> {
    let k = &flow.key;
    if !matches!(k.family, 4 | 6) {
        return None;
    }
    let (src, dst) = (flow.orig_addr(), flow.resp_addr());
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
    let order = |addr: &[u8; 16], port| (u128::from_be_bytes(*addr), port);
    let swap = !one_way && order(dst, dport) < order(src, sport);
    let (src, dst, sport, dport) = if swap { (dst, src, dport, sport) } else { (src, dst, sport, dport) };
    let mut hashed = Hashed::new();
    hashed.add(&[0, 0]); // the seed
    hashed.add_addresses(k.family == 4, [src, dst]);
    hashed.add(&[k.proto, 0]);
    if ported {
        hashed.add(&sport.to_be_bytes());
        hashed.add(&dport.to_be_bytes());
    }
    Some(hashed.end())
}

/// RFC 4648 base 64 of a digest, with padding.
#[inline]
fn base64(digest: &[u8; 20], out: &mut [u8]) {
    let mut bytes = [0; 21];
    bytes[..20].copy_from_slice(digest);
    let (threes, _) = bytes.as_chunks::<3>();
    let (fours, _) = out.as_chunks_mut::<4>();
    for ([a, b, c], [first, second, third, fourth]) in threes.iter().zip(fours) {
        let word = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
        [*first, *second] = BASE_64[(word >> 12) as usize];
        [*third, *fourth] = BASE_64[(word & 0xfff) as usize];
    }
    // 20 bytes are two of the last three.
    if let Some(last) = out.last_mut() {
        *last = b'=';
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::FlowKey;
    use super::*;

    #[test]
    fn few_bytes_are_hashed_as_any() {
        for len in 0..=128 - 9 {
            let bytes: Vec<u8> = (0..len as u8).map(|byte| byte.wrapping_mul(37)).collect();
            let mut hashed = Hashed::new();
            bytes.chunks(7).for_each(|part| hashed.add(part));
            assert_eq!(hashed.end().digest(), <[u8; 20]>::from(Sha1::digest(&bytes)), "{len}");
        }
    }

    #[test]
    fn a_uid_is_a_hash_of_all_that_names_a_flow() {
        let key = FlowKey { vni: 7, proto: 17, family: 4, low: [9; 16], high: [8; 16], ..FlowKey::default() };
        let four = Flow::new(key);
        let six = Flow::new(FlowKey { family: 6, ..key });
        let place = point(Some("ns1"), None);
        let mut names = vec![0, 0, 0, 3];
        names.extend(b"ns1");
        names.extend([0xff; 4]);
        assert_eq!(place, Sha1::digest(&names)[..POINT]);
        for (flow, width) in [(&four, 4), (&six, 16)] {
            let mut all = vec![flow.key.family, 17, 0, 0, 0];
            all.extend(place);
            all.extend([0; 8]);
            all.extend([0, 0, 0, 7]);
            all.extend([0; 20]);
            all.extend(&[9; 16][..width]);
            all.extend(&[8; 16][..width]);
            assert_eq!(uid(flow, &place).0, Sha1::digest(&all)[..12], "{width}");
        }
        assert_eq!(named(&four, &place).count(), 1);
        let several: Vec<&Flow> = (0..40).map(|at| if at % 3 == 0 { &six } else { &four }).collect();
        let each: Vec<Uid> = several.iter().map(|flow| uid(flow, &place)).collect();
        assert_eq!(uids(&several, |_| &place), each);
        let each: Vec<_> = several.iter().flat_map(|flow| CommunityId::all(&[flow])).collect();
        assert_eq!(CommunityId::all(&several), each);
    }

    #[test]
    fn a_uid_is_written_in_base_62() {
        let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for bytes in [[0; 12], [0xff; 12], *b"a test of it", [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]] {
            let mut value = bytes.iter().fold(0u128, |value, byte| value << 8 | u128::from(*byte));
            let mut text = [b'C'; Uid::TEXT];
            for at in (1..Uid::TEXT).rev() {
                text[at] = digits[(value % 62) as usize];
                value /= 62;
            }
            assert_eq!(Uid(bytes).text(), text);
        }
    }
}
