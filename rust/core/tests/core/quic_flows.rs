//! QUIC in flows as they are captured: ClientHellos in several datagrams, cut in several ways.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{Aead as _, Payload};
use hkdf::Hkdf;
use sha2::Sha256;
use sniffkit_core::app::{Found, Text, Wants};
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::stream::Watch;
use sniffkit_core::track::{Options, Tracker};
use std::sync::Arc;

/// Connection ids: the client's first choice for the server, the one behind a Retry, the server's own, the client's.
const FIRST: [u8; 8] = [1; 8];
const RETRIED: [u8; 8] = [2; 8];
const SERVERS: [u8; 8] = [3; 8];
const CLIENTS: [u8; 8] = [4; 8];

const FACTS: Wants = Wants { facts: true, ..Wants::NOTHING };

/// A client's Initial packet of version 1 with one CRYPTO frame (RFC 9001, 5), its keys from `from`, in UDP and raw IPv4.
fn initial(from: [u8; 8], to: [u8; 8], number: u8, offset: u16, data: &[u8]) -> Vec<u8> {
    const SALT: [u8; 20] = [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb,
        0x7f, 0x0a,
    ];
    fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &[u8]) -> [u8; N] {
        let mut out = [0; N];
        let info = [&[0, N as u8, label.len() as u8 + 6], &b"tls13 "[..], label, &[0]].concat();
        secret.expand(&info, &mut out).expect("a short key");
        out
    }
    let secret: [u8; 32] = expand(&Hkdf::new(Some(&SALT), &from), b"client in");
    let secret = Hkdf::from_prk(&secret).expect("as long as the hash");
    let (key, mut nonce, mask_key): ([u8; 16], [u8; 12], [u8; 16]) =
        (expand(&secret, b"quic key"), expand(&secret, b"quic iv"), expand(&secret, b"quic hp"));
    let sized = |number: u16| (number | 0x4000).to_be_bytes(); // a variable-length integer of two bytes
    let payload = [&[6][..], &sized(offset), &sized(data.len() as u16), data, &[0; 20]].concat();
    let length = sized(payload.len() as u16 + 17);
    let mut packet = [&[0xc0, 0, 0, 0, 1, 8][..], &to, &[8], &CLIENTS, &[0], &length, &[number]].concat();
    nonce[11] ^= number;
    let at = packet.len();
    let sealed = Payload { msg: &payload, aad: &packet };
    packet.extend(Aes128Gcm::new(&key.into()).encrypt(&nonce.into(), sealed).expect("sealed"));
    let mut mask = <[u8; 16]>::try_from(&packet[at + 3..at + 19]).expect("a sample").into();
    Aes128::new(&mask_key.into()).encrypt_block(&mut mask);
    packet[0] ^= mask[0] & 0x0f;
    packet[at - 1] ^= mask[1];
    datagram(&packet)
}

fn datagram(payload: &[u8]) -> Vec<u8> {
    let udp = [50_000, 443, 8 + payload.len() as u16, 0].map(u16::to_be_bytes).concat();
    let len = (28 + payload.len() as u16).to_be_bytes();
    [&[0x45, 0, len[0], len[1], 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &udp, payload].concat()
}

/// A packet of version 1 that cannot be opened: 0-RTT (1) or Handshake (2).
fn sealed(kind: u8) -> Vec<u8> {
    [&[0xc0 | kind << 4, 0, 0, 0, 1, 8][..], &FIRST, &[8], &CLIENTS, &[0x40, 30], &[0; 30]].concat()
}

/// A ClientHello with a server name.
fn hello() -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let names = sized(&[&[0][..], &sized(b"quic.example")].concat());
    let extensions = [&[0, 0][..], &sized(&names), &[0, 43], &sized(&[2, 3, 4])].concat();
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &sized(&extensions)].concat();
    [&[1, 0][..], &sized(&body)].concat()
}

struct Run {
    tracker: Tracker,
    decoded: Decoded,
    number: u64,
}

impl Run {
    fn of(streams: Wants) -> Self {
        let mut decoded = Decoded::default();
        decoded.batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::RAW, 0))]);
        Self { tracker: Tracker::new(Options { streams, ..Options::default() }), decoded, number: 0 }
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.number += 1;
        self.decoded.batch.clear();
        let (ts, frame_len) = (self.number as i64 * 1_000_000, bytes.len() as u32);
        self.decoded.batch.push(FrameMeta { ts, number: self.number, frame_len, ..FrameMeta::default() }, bytes);
        self.decoded.decode();
        self.tracker.batch(&self.decoded.batch, self.decoded.packets(), None);
    }

    /// The server name of the only flow, which is not listened to any more.
    fn server_name(mut self) -> Option<String> {
        assert!(self.tracker.open().iter().all(|flow| flow.watch == Watch::IGNORED));
        assert_eq!(self.tracker.streams().expect("streams").in_memory(), (0, 0));
        self.tracker.finish();
        let slot = self.tracker.finished_order()[0];
        let facts = self.tracker.flow(slot).facts.as_ref().expect("facts");
        assert_eq!(facts.service(), Some("quic"));
        facts.text(Text::TlsServerName).map(str::to_owned)
    }
}

/// The server name in the flow, and in the one row of `tls`.
fn names(frames: &[Vec<u8>]) -> [Option<String>; 2] {
    let (mut facts, mut table) = (Run::of(FACTS), Run::of(Wants { tls: true, ..FACTS }));
    frames.iter().for_each(|frame| facts.frame(frame));
    frames.iter().for_each(|frame| table.frame(frame));
    table.tracker.finish();
    let rows = table.tracker.streams().expect("streams").rows();
    let [Found::Tls(row)] = &rows.iter().map(|row| &row.found).collect::<Vec<_>>()[..] else { panic!("{rows:?}") };
    let name = row.client.as_ref().and_then(|hello| hello.server_name.as_deref());
    [facts.server_name(), name.map(str::to_owned)]
}

fn both() -> [Option<String>; 2] {
    [(); 2].map(|()| Some("quic.example".to_owned()))
}

#[test]
fn a_hello_in_several_datagrams_names_its_flow() {
    let hello = hello();
    let one = initial(FIRST, FIRST, 0, 0, &hello[..30]);
    let two = initial(FIRST, FIRST, 1, 30, &hello[30..]);
    assert_eq!(names(&[one.clone(), two.clone()]), both());
    assert_eq!(names(&[two, one]), both());
}

#[test]
fn a_hello_that_is_never_whole_is_not_waited_for() {
    let part = initial(FIRST, FIRST, 0, 0, &hello()[..30]);
    let mut run = Run::of(FACTS);
    (0..16).for_each(|_| run.frame(&part));
    assert_eq!(run.server_name(), None);
}

#[test]
fn a_hello_sent_again_may_be_cut_elsewhere() {
    let hello = hello();
    let part = |number, from: usize, to: usize| initial(FIRST, FIRST, number, from as u16, &hello[from..to]);
    assert_eq!(names(&[part(0, 0, 20), part(1, 0, 40), part(2, 40, hello.len())]), both());
    assert_eq!(names(&[part(0, 0, 20), part(1, 30, 40), part(2, 20, 30), part(3, 30, hello.len())]), both());
}

#[test]
fn behind_a_retry_the_new_id_has_the_keys() {
    let hello = hello();
    let (one, two) = hello.split_at(30);
    let frames = [
        initial(FIRST, FIRST, 0, 0, one),
        initial(RETRIED, RETRIED, 1, 0, one),
        initial(RETRIED, SERVERS, 2, 30, two), // which has answered
    ];
    assert_eq!(names(&frames), both());
}

#[test]
fn half_a_hello_is_saved() {
    let hello = hello();
    let mut before = Run::of(FACTS);
    before.tracker.keep_state();
    before.frame(&initial(FIRST, FIRST, 0, 0, &hello[..30]));
    let state = before.tracker.save().expect("a state");
    let tracker = Tracker::restore(Options { streams: FACTS, ..Options::default() }, &state).expect("a tracker");
    let mut after = Run { tracker, ..before };
    after.frame(&initial(FIRST, FIRST, 1, 30, &hello[30..]));
    assert_eq!(after.server_name().as_deref(), Some("quic.example"));
}

/// RFC 9000, 12.2.
#[test]
fn a_hello_behind_other_packets_of_its_datagram() {
    let hello = hello();
    let one = initial(FIRST, FIRST, 0, 0, &hello[..30]);
    let two = &initial(FIRST, FIRST, 1, 30, &hello[30..])[28..];
    let behind = datagram(&[&sealed(1)[..], &sealed(2), two].concat());
    assert_eq!(names(&[one, behind]), both());
}

#[test]
fn datagrams_without_initial_packets_may_be_many() {
    let hello = hello();
    let name = |between: usize| {
        let mut run = Run::of(Wants { tls: true, ..FACTS });
        run.frame(&initial(FIRST, FIRST, 0, 0, &hello[..30]));
        (0..between).for_each(|_| run.frame(&datagram(&sealed(1))));
        run.frame(&initial(FIRST, FIRST, 1, 30, &hello[30..]));
        run.server_name()
    };
    assert_eq!(name(20).as_deref(), Some("quic.example"));
    assert_eq!(name(62).as_deref(), Some("quic.example"));
    assert_eq!(name(63), None);
}
