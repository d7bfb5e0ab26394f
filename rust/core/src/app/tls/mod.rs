//! TLS over TCP (RFC 8446, RFC 5246): the two hellos, and whether the handshake came to its end.

pub mod fingerprint;
pub mod hello;
mod suites;
#[cfg(test)]
mod tests;

pub use hello::{ClientHello, ServerHello, version_name};
pub use suites::name as cipher_name;

use super::{After, Analyzer, Facts, Found, Looks, Out};
use crate::decode::cursor::be16;
use crate::stream::{Piece, Place};

/// Longest record, bytes (RFC 5246, 6.2.3; TLS 1.3 allows less).
const MAX_RECORD: usize = (1 << 14) + 2048;
/// Longest handshake message that is put together, bytes. Hellos have a few hundred; those with post-quantum keys 2,000.
const MAX_MESSAGE: usize = 1 << 17;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// The extension of a client that sends early data (RFC 8446, 4.2.10).
const EARLY_DATA: u16 = 42;

/// What was seen of a handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// The first ClientHello.
    pub client: Option<ClientHello>,
    /// Where it was complete.
    pub client_place: Place,
    /// The last ServerHello.
    pub server: Option<ServerHello>,
    /// Where it was complete.
    pub server_place: Place,
    /// Over QUIC.
    pub quic: bool,
    /// Both sides went over to encrypted records.
    pub established: bool,
    /// What is wrong.
    pub fault: Option<&'static str>,
}

/// Recognises a side by its first record: a handshake that begins with a hello.
pub fn looks(bytes: &[u8], _ports: (u16, u16)) -> Looks {
    match bytes {
        [HANDSHAKE, 3, 0..=4, high, low, kind, ..] if (4..=MAX_RECORD as u16).contains(&be16(&[*high, *low], 0)) => {
            hello_of(*kind)
        }
        [HANDSHAKE, 3, 0..=4, 0, len @ 1..=3, message @ ..] if !message.is_empty() => looks_cut(*len, message),
        []
        | [HANDSHAKE]
        | [HANDSHAKE, 3]
        | [HANDSHAKE, 3, 0..=4]
        | [HANDSHAKE, 3, 0..=4, _]
        | [HANDSHAKE, 3, 0..=4, _, _] => Looks::Perhaps,
        _ => Looks::No,
    }
}

/// Which side sends a handshake message of that type first.
fn hello_of(kind: u8) -> Looks {
    match kind {
        1 => Looks::Client,
        2 => Looks::Server,
        _ => Looks::No,
    }
}

/// The same where the first record has only `len` bytes, less than the header of its message, which any fragment but an
/// empty one may (RFC 8446, 5.1; RFC 5246, 6.2.1). So few bytes prove little: another record of the handshake must
/// follow, as nothing else may come between.
fn looks_cut(len: u8, message: &[u8]) -> Looks {
    let side = hello_of(message[0]);
    // No hello that is read is as long as 2^17 bytes.
    if side == Looks::No || len > 1 && message.get(1).is_some_and(|high| *high > 1) {
        return Looks::No;
    }
    match message.get(usize::from(len)..).unwrap_or_default() {
        [HANDSHAKE, 3, 0..=4, high, low, ..] if (1..=MAX_RECORD as u16).contains(&be16(&[*high, *low], 0)) => side,
        [] | [HANDSHAKE] | [HANDSHAKE, 3] | [HANDSHAKE, 3, 0..=4] | [HANDSHAKE, 3, 0..=4, _] => Looks::Perhaps,
        _ => Looks::No,
    }
}

/// A connection whose client is that side.
pub fn make(client: usize) -> Box<dyn Analyzer> {
    Box::new(Tls { client, ..Tls::default() })
}

/// The facts of a client whose first record holds its whole hello.
pub fn glance(bytes: &[u8]) -> Option<Facts> {
    let [HANDSHAKE, 3, _, high, low, record @ ..] = bytes else { return None };
    let record = record.get(..usize::from(be16(&[*high, *low], 0)))?;
    let [1, a, b, c, rest @ ..] = record else { return None };
    let body = rest.get(..usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c))?;
    ClientHello::parse(body).map(|hello| facts(&hello, "tls", false))
}

#[derive(Default)]
struct Half {
    /// A record header in the making.
    header: Vec<u8>,
    /// Bytes of the record that are still to come, and of all of it, and its type.
    left: usize,
    len: usize,
    kind: u8,
    /// None of the record's bytes has come yet.
    fresh: bool,
    /// A handshake message in the making.
    message: Vec<u8>,
    /// The latest frame so far.
    last: Place,
    /// Its hello was read or got lost: its further messages are not read.
    has_hello: bool,
    changed: bool,
    /// Where its next record begins got lost.
    is_lost: bool,
    /// Application data, other than early data.
    data: bool,
}

#[derive(Default)]
struct Tls {
    client: usize,
    sides: [Half; 2],
    seen: Handshake,
    first: Option<Place>,
    reported: bool,
}

impl Tls {
    /// Takes bytes of a side; `false` when enough is known.
    fn bytes(&mut self, side: usize, mut bytes: &[u8], place: Place, out: &mut Out<'_>) -> bool {
        if self.sides[side].is_lost {
            return true;
        }
        self.sides[side].last.reach(place);
        while !bytes.is_empty() {
            let half = &mut self.sides[side];
            if half.left == 0 {
                let need = 5 - half.header.len();
                let (taken, rest) = bytes.split_at(need.min(bytes.len()));
                half.header.extend_from_slice(taken);
                bytes = rest;
                if half.header.len() < 5 {
                    return true;
                }
                let len = usize::from(be16(&half.header, 3));
                let (kind, version) = (half.header[0], half.header[1]);
                half.header.clear();
                if !(CHANGE_CIPHER_SPEC..=24).contains(&kind) || version != 3 || len > MAX_RECORD {
                    let lie = if len > MAX_RECORD { "record longer than its limit" } else { "not a TLS record" };
                    self.seen.fault.get_or_insert(lie);
                    return false;
                }
                (half.left, half.len, half.kind, half.fresh) = (len, len, kind, true);
                self.record(side, kind);
                if self.is_enough(out) {
                    return false;
                }
            } else {
                let (taken, rest) = bytes.split_at(half.left.min(bytes.len()));
                half.left -= taken.len();
                bytes = rest;
                let is_start = std::mem::take(&mut half.fresh);
                if half.kind == HANDSHAKE && !half.has_hello {
                    half.message.extend_from_slice(taken);
                    if !self.messages(side, out) {
                        return false;
                    }
                } else if half.kind == ALERT && is_start && taken.first() == Some(&2) && !half.data {
                    // Behind a retry a changed cipher means nothing yet.
                    if !half.changed || self.seen.server.as_ref().is_some_and(|hello| hello.is_retry) {
                        self.seen.fault.get_or_insert("fatal alert");
                    }
                }
            }
        }
        true
    }

    /// A record begins.
    fn record(&mut self, side: usize, kind: u8) {
        match kind {
            CHANGE_CIPHER_SPEC => self.sides[side].changed = true,
            APPLICATION_DATA if !self.is_early(side) => self.sides[side].data = true,
            _ => {}
        }
        let [one, other] = &self.sides;
        let both = one.data && other.data;
        self.seen.established |= match &self.seen.server {
            // Another ServerHello is to come; in between, a changed cipher means nothing (RFC 8446, D.4).
            Some(hello) if hello.is_retry => both,
            // TLS 1.3 sends what follows the hellos as application data.
            Some(hello) if hello.version >= 0x0304 => self.sides[self.client].data,
            // Before, a changed cipher was finished with.
            _ => one.changed && other.changed || both,
        };
    }

    /// Whether application data of that side now is early data, which the client sends before the server has answered
    /// (RFC 8446, 4.2.10): it is no sign of a handshake that came to its end.
    fn is_early(&self, side: usize) -> bool {
        side == self.client
            && self.seen.server.as_ref().is_none_or(|hello| hello.is_retry)
            && !self.sides[side ^ 1].data
            && self.seen.client.as_ref().is_some_and(|hello| hello.extensions.contains(&EARLY_DATA))
    }

    /// Whether nothing more is to be learnt.
    fn is_enough(&self, out: &Out<'_>) -> bool {
        let heard =
            self.seen.client.is_some() && (!out.wants.tls || self.seen.server.is_some() && self.seen.established);
        // Application data of both sides, and still no hello: it was not captured.
        let late = self.sides.iter().all(|half| half.data || half.is_lost);
        heard || late
    }

    /// So many bytes of a side are missing; `false` when enough is known.
    fn gap(&mut self, side: usize, len: u64, out: &Out<'_>) -> bool {
        let half = &mut self.sides[side];
        if half.is_lost {
            return true;
        }
        let inside = len <= half.left as u64;
        // Inside a record whose content is not read, nothing is lost.
        if inside && (half.kind != HANDSHAKE || half.has_hello) {
            half.left -= len as usize;
            return true;
        }
        self.seen.fault.get_or_insert("bytes are missing");
        half.message = Vec::new();
        // What messages there are behind it is not known, but where the next record begins is.
        (half.has_hello, half.is_lost) = (true, !inside);
        half.left = if inside { half.left - len as usize } else { 0 };
        // Facts are the client's.
        (out.wants.tls || side != self.client) && !self.is_enough(out)
    }

    /// Reads the handshake messages that are whole, up to the hello.
    fn messages(&mut self, side: usize, out: &mut Out<'_>) -> bool {
        loop {
            let half = &mut self.sides[side];
            let place = half.last;
            let [kind, a, b, c, ..] = half.message[..] else { return true };
            let len = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            // Behind a changed cipher messages are encrypted (RFC 5246, 7.1), but for the hellos of a retry (RFC 8446, D.4),
            // each of which is alone in its record.
            let is_retried = self.seen.server.as_ref().is_some_and(|hello| hello.is_retry);
            if half.changed && !is_retried && (hello_of(kind) == Looks::No || 4 + len != half.len) {
                half.message = Vec::new();
                half.has_hello = true;
                return true;
            }
            if len > MAX_MESSAGE {
                self.seen.fault.get_or_insert("handshake message longer than 131072 bytes");
                half.message = Vec::new();
                return false;
            }
            let Some(body) = half.message.get(4..4 + len) else { return true };
            match kind {
                1 => {
                    let hello = ClientHello::parse(body);
                    half.has_hello = true;
                    if self.seen.client.is_none() {
                        match hello {
                            Some(hello) => self.client_hello(hello, place, out),
                            None => self.seen.fault = Some("ClientHello whose lengths do not fit"),
                        }
                    }
                }
                2 => {
                    let hello = ServerHello::parse(body);
                    // Behind a retry another hello comes, from both.
                    half.has_hello = hello.as_ref().is_none_or(|hello| !hello.is_retry);
                    match hello {
                        Some(hello) => {
                            self.seen.server = Some(hello);
                            self.seen.server_place = place;
                        }
                        None => self.seen.fault = Some("ServerHello whose lengths do not fit"),
                    }
                }
                _ => {}
            }
            let half = &mut self.sides[side];
            half.message.drain(..4 + len);
            if half.has_hello {
                half.message = Vec::new();
                return !self.is_enough(out);
            }
        }
    }

    fn client_hello(&mut self, hello: ClientHello, place: Place, out: &mut Out<'_>) {
        if out.wants.facts {
            out.facts.add(facts(&hello, "tls", false)); // behind those of a tunnel in the same segment
        }
        self.seen.client = Some(hello);
        self.seen.client_place = place;
    }

    fn report(&mut self, out: &mut Out<'_>) {
        let heard = self.seen.client.is_some() || self.seen.server.is_some() || self.seen.fault.is_some();
        if heard && out.wants.tls && !std::mem::replace(&mut self.reported, true) {
            out.row(self.first.unwrap_or_default(), Found::Tls(Box::new(std::mem::take(&mut self.seen))));
        }
    }
}

/// What a ClientHello says of its flow.
pub fn facts(hello: &ClientHello, service: &'static str, quic: bool) -> Facts {
    Facts {
        service: Some(service),
        tls_server_name: hello.server_name.as_deref().map(Into::into),
        ja4: Some(fingerprint::ja4(hello, quic).into()),
        ..Facts::default()
    }
}

impl Analyzer for Tls {
    fn piece<'a>(&mut self, side: usize, piece: Piece<'a>, out: &mut Out<'_>) -> After<'a> {
        let more = match piece {
            Piece::Data(bytes, place) => {
                self.first.get_or_insert(place);
                self.bytes(side, bytes, place, out)
            }
            Piece::Gap(len, _) => self.gap(side, len, out),
        };
        if more {
            return After::More;
        }
        self.report(out);
        After::Enough
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        self.report(out);
    }

    fn oldest_open(&self) -> Option<u64> {
        if self.reported { None } else { self.first.map(|place| place.frame) }
    }
}
