//! QUIC (RFC 9000, RFC 9369): recognised by its long header; the ClientHello out of the Initial packets, whose keys
//! anyone can work out (RFC 9001, 5.2).

use super::tls::{ClientHello, Handshake, facts};
use super::{Datagram, DatagramAnalyzer, Found, Out};
use crate::stream::Place;
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{Aead as _, Payload};
use hkdf::Hkdf;
use sha2::Sha256;
use std::collections::BTreeMap;

/// Types of packets in version 1 (RFC 9000, 17.2).
const INITIAL: u8 = 0;
const RETRY: u8 = 3;

/// Longest ClientHello that is put together, bytes.
const MAX_HELLO: usize = 1 << 16;
/// Parts of a hello that have not been joined.
const MAX_PARTS: usize = 256;
/// Datagrams with Initial packets of a flow that are looked at: a hello is in the first few or not at all.
const MAX_INITIALS: u32 = 16;
/// Datagrams of a flow that are looked at.
const MAX_DATAGRAMS: u32 = 64;

/// What versions differ in.
struct Version {
    numbers: std::ops::RangeInclusive<u32>,
    salt: [u8; 20],
    labels: [&'static str; 3],
    /// Type of Initial packets; the others follow, modulo 4 (RFC 9000, 17.2; RFC 9369, 3.2).
    initial: u8,
}

const VERSIONS: [Version; 3] = [
    // RFC 9001, 5.2
    Version {
        numbers: 1..=1,
        salt: [
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb,
            0x7f, 0x0a,
        ],
        labels: ["quic key", "quic iv", "quic hp"],
        initial: 0,
    },
    // draft-ietf-quic-tls-29 to 32, 5.2
    Version {
        numbers: 0xff00_001d..=0xff00_0020,
        salt: [
            0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90,
            0xa8, 0x99,
        ],
        labels: ["quic key", "quic iv", "quic hp"],
        initial: 0,
    },
    // RFC 9369, 3.2 and 3.3
    Version {
        numbers: 0x6b33_43cf..=0x6b33_43cf,
        salt: [
            0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd,
            0x2e, 0xd9,
        ],
        labels: ["quicv2 key", "quicv2 iv", "quicv2 hp"],
        initial: 1,
    },
];

/// A packet with a long header that says how long it is (RFC 9000, 17.2).
enum Long<'a> {
    Initial(Initial<'a>),
    /// 0-RTT or Handshake: where it ends.
    Other(usize),
}

/// The parts of an Initial packet.
struct Initial<'a> {
    version: &'static Version,
    /// Destination connection id: the keys come from it.
    dcid: &'a [u8],
    /// The packet from its first byte.
    packet: &'a [u8],
    /// Where the packet number begins.
    number_at: usize,
    /// Where the packet ends.
    end: usize,
}

/// A variable-length integer (RFC 9000, 16).
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    let len = 1 << (first >> 6);
    let value = bytes.get(*at..*at + len)?.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    *at += len;
    Some(value & (u64::MAX >> (64 - 8 * len + 2)))
}

/// Whether a datagram begins with a long header of QUIC: fixed bit, a version that exists, connection ids that fit.
fn long_header(bytes: &[u8]) -> Option<(u32, &[u8], usize)> {
    let first = *bytes.first()?;
    if first & 0xc0 != 0xc0 {
        return None;
    }
    let version = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?);
    let dcid_len = usize::from(*bytes.get(5)?);
    let dcid = bytes.get(6..6 + dcid_len)?;
    let at = 6 + dcid_len;
    let scid_len = usize::from(*bytes.get(at)?);
    if dcid_len > 20 || scid_len > 20 {
        return None;
    }
    bytes.get(at + 1..at + 1 + scid_len)?;
    Some((version, dcid, at + 1 + scid_len))
}

/// Versions that are or were in use: 1, 2, drafts, Google's, Facebook's, and those kept for negotiation.
fn is_known(version: u32) -> bool {
    matches!(version, 1 | 0x6b33_43cf | 0xff00_0000..=0xff00_0022 | 0xface_b000..=0xface_b0ff)
        || version & 0x0f0f_0f0f == 0x0a0a_0a0a
        || version >> 24 == u32::from(b'Q') && (version >> 16 & 0xff) as u8 == b'0'
}

fn packet(bytes: &[u8]) -> Option<Long<'_>> {
    let (number, dcid, mut at) = long_header(bytes)?;
    let version = VERSIONS.iter().find(|version| version.numbers.contains(&number))?;
    let kind = (bytes[0] >> 4).wrapping_sub(version.initial) & 3;
    if kind == RETRY {
        return None; // has no length, and stands alone
    }
    if kind == INITIAL {
        let token = usize::try_from(varint(bytes, &mut at)?).ok()?;
        at = at.checked_add(token)?;
    }
    let length = usize::try_from(varint(bytes, &mut at)?).ok()?;
    let end = at.checked_add(length).filter(|end| *end <= bytes.len())?;
    // Packet number, a sample for header protection, and the tag must be there.
    let is_initial = kind == INITIAL && length >= 20;
    Some(if is_initial {
        Long::Initial(Initial { version, dcid, packet: bytes, number_at: at, end })
    } else {
        Long::Other(end)
    })
}

/// HKDF-Expand-Label of TLS 1.3 (RFC 8446, 7.1), without context.
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    let mut info = vec![0, N as u8, (6 + label.len()) as u8];
    info.extend_from_slice(b"tls13 ");
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    let mut out = [0; N];
    secret.expand(&info, &mut out).ok()?;
    Some(out)
}

/// Opens a client's Initial packet; `None` if it is not one, or damaged.
fn open(initial: &Initial<'_>, dcid: &[u8]) -> Option<Vec<u8>> {
    let extracted = Hkdf::<Sha256>::new(Some(&initial.version.salt), dcid);
    let secret: [u8; 32] = expand(&extracted, "client in")?;
    let secret = Hkdf::<Sha256>::from_prk(&secret).ok()?;
    let [key_label, iv_label, hp_label] = initial.version.labels;
    let (key, mut nonce, hp): ([u8; 16], [u8; 12], [u8; 16]) =
        (expand(&secret, key_label)?, expand(&secret, iv_label)?, expand(&secret, hp_label)?);
    let mut mask =
        <[u8; 16]>::try_from(initial.packet.get(initial.number_at + 4..initial.number_at + 20)?).ok()?.into();
    Aes128::new(&hp.into()).encrypt_block(&mut mask);
    let mut header = initial.packet[..initial.number_at + 4].to_vec();
    header[0] ^= mask[0] & 0x0f;
    let number_len = usize::from(header[0] & 3) + 1;
    header.truncate(initial.number_at + number_len);
    for (i, byte) in header[initial.number_at..].iter_mut().enumerate() {
        *byte ^= mask[1 + i];
        nonce[12 - number_len + i] ^= *byte;
    }
    let sealed = initial.packet.get(initial.number_at + number_len..initial.end)?;
    Aes128Gcm::new(&key.into()).decrypt(&nonce.into(), Payload { msg: sealed, aad: &header }).ok()
}

/// Recognises a datagram.
pub fn looks(datagram: &Datagram<'_>) -> bool {
    long_header(datagram.payload).is_some_and(|(version, ..)| is_known(version))
}

/// A UDP flow.
pub fn make() -> Box<dyn DatagramAnalyzer> {
    Box::new(Quic::default())
}

#[derive(Default)]
struct Quic {
    datagrams: u32,
    /// Those with Initial packets.
    initials: u32,
    dcid: Option<Vec<u8>>,
    /// CRYPTO frames by offset.
    parts: BTreeMap<u64, Vec<u8>>,
    held: usize,
    first: Place,
    reported: bool,
}

impl Quic {
    /// Takes the CRYPTO frames of an opened packet.
    fn frames(&mut self, bytes: &[u8]) -> Option<()> {
        let mut at = 0;
        while at < bytes.len() {
            match varint(bytes, &mut at)? {
                0 | 1 => {}
                kind @ (2 | 3) => {
                    varint(bytes, &mut at)?;
                    varint(bytes, &mut at)?;
                    let ranges = varint(bytes, &mut at)?;
                    varint(bytes, &mut at)?;
                    for _ in 0..ranges {
                        varint(bytes, &mut at)?;
                        varint(bytes, &mut at)?;
                    }
                    for _ in 0..if kind == 3 { 3 } else { 0 } {
                        varint(bytes, &mut at)?;
                    }
                }
                6 => {
                    let offset = varint(bytes, &mut at)?;
                    let len = usize::try_from(varint(bytes, &mut at)?).ok()?;
                    let data = bytes.get(at..at.checked_add(len)?)?;
                    at += len;
                    // Sent again it may be cut elsewhere (RFC 9000, 2.2 and 13.3).
                    let goes_on = |part: (&u64, &Vec<u8>)| (part.0 + part.1.len() as u64 >= offset).then_some(*part.0);
                    let start = self.parts.range(..=offset).next_back().and_then(goes_on);
                    let known = start.map_or(0, |start| start + self.parts[&start].len() as u64 - offset);
                    let new = data.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
                    let room = self.held + new.len() <= MAX_HELLO && (start.is_some() || self.parts.len() < MAX_PARTS);
                    if !new.is_empty() && room {
                        self.held += new.len();
                        self.parts.entry(start.unwrap_or(offset)).or_default().extend_from_slice(new);
                    }
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// The ClientHello, once its bytes are all there.
    fn hello(&self) -> Option<ClientHello> {
        let mut message: Vec<u8> = Vec::new();
        for (offset, data) in &self.parts {
            let known = (message.len() as u64).checked_sub(*offset)?;
            message.extend_from_slice(data.get(usize::try_from(known).ok()?..).unwrap_or(&[]));
        }
        let [1, a, b, c, rest @ ..] = &message[..] else { return None };
        let len = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        ClientHello::parse(rest.get(..len)?)
    }

    fn report(&mut self, client: Option<ClientHello>, place: Place, out: &mut Out<'_>) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        if let Some(hello) = &client {
            *out.facts = facts(hello, "quic", true);
        }
        if out.wants.tls {
            let fault = if client.is_none() { Some("no ClientHello that can be read") } else { None };
            let handshake = Handshake { client, client_place: place, quic: true, fault, ..Handshake::default() };
            out.row(self.first, Found::Tls(Box::new(handshake)));
        }
    }
}

impl DatagramAnalyzer for Quic {
    fn datagram(&mut self, datagram: &Datagram<'_>, out: &mut Out<'_>) -> bool {
        out.facts.service.get_or_insert("quic");
        if self.datagrams == 0 {
            self.first = datagram.place;
        }
        self.datagrams += 1;
        let mut rest = datagram.payload;
        // Several packets may share a datagram (RFC 9000, 12.2).
        let mut has_initial = false;
        while let Some(packet) = packet(rest) {
            let packet = match packet {
                Long::Initial(initial) => initial,
                Long::Other(end) => {
                    rest = &rest[end..];
                    continue;
                }
            };
            has_initial = true;
            // Keys come from the first packet's id, or behind a Retry from the new one.
            let opened = self.dcid.as_deref().and_then(|dcid| open(&packet, dcid)).or_else(|| {
                let opened = open(&packet, packet.dcid)?;
                self.dcid = Some(packet.dcid.to_vec());
                Some(opened)
            });
            if let Some(payload) = opened {
                self.frames(&payload);
                if let Some(hello) = self.hello() {
                    self.report(Some(hello), datagram.place, out);
                    return false;
                }
            }
            rest = &rest[packet.end..];
        }
        self.initials += u32::from(has_initial);
        self.initials < MAX_INITIALS && self.datagrams < MAX_DATAGRAMS
    }

    fn goes_on(&self) -> bool {
        !self.parts.is_empty()
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        self.report(None, self.first, out);
    }

    fn oldest_open(&self) -> Option<u64> {
        (!self.reported).then_some(self.first.frame)
    }
}
