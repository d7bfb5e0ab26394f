//! What the ends of flows say to each other as text, while it goes on: streams as they are, or a line a transaction.

use super::zone::Zone;
use crate::app::raw::Tap;
use crate::app::{Found, Row, Wants, Who};
use crate::calendar::utc;
use crate::frame::FrameBatch;
use crate::json;
use crate::packet::Packet;
use crate::stream::{Piece, Place};
use crate::track::{Options, Tracker, Uid};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// How streams are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As text; bytes that do not print are dots.
    #[default]
    Text,
    /// Offset, hexadecimal and ASCII.
    Hex,
    /// The bytes and nothing else.
    Raw,
    /// A JSON object a piece, on a line.
    Json,
}

/// Which flows are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Select {
    /// All.
    #[default]
    All,
    /// The one with this uid.
    Uid(String),
    /// Those of an IP protocol between two ends, whichever began.
    Ends(u8, (IpAddr, u16), (IpAddr, u16)),
}

fn address(family: u8, bytes: [u8; 16]) -> IpAddr {
    if family == 4 { IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]) } else { IpAddr::from(bytes) }
}

impl Select {
    fn takes(&self, who: &Who) -> bool {
        match self {
            Self::All => true,
            Self::Uid(uid) => who.uid.text() == *uid.as_bytes(),
            Self::Ends(proto, a, b) => {
                let orig = (address(who.family, who.orig), who.orig_p);
                let resp = (address(who.family, who.resp), who.resp_p);
                who.proto == *proto && (orig == *a && resp == *b || orig == *b && resp == *a)
            }
        }
    }
}

/// Something that was said.
struct Said {
    who: Who,
    from_orig: bool,
    place: Place,
    what: What,
}

enum What {
    Bytes(Vec<u8>),
    Missing(u64),
    /// Nothing more will be.
    Over,
}

/// How far a side has been shown.
#[derive(Default)]
struct Shown {
    offset: u64,
    /// It may have been shown before, and forgotten: its offset cannot be known.
    resumed: bool,
    /// The first bytes of a character whose others are still to come.
    begun: Vec<u8>,
    /// Where these are.
    place: Place,
}

/// Flows of which is kept how far they have been shown. UDP flows are not seen to end: beyond so many, offsets begin anew, and
/// as JSON they are null.
const MAX_FLOWS: usize = 1 << 16;

struct Listener {
    select: Select,
    said: Arc<Mutex<Vec<Said>>>,
}

impl Tap for Listener {
    fn wants(&mut self, who: &Who) -> bool {
        self.select.takes(who)
    }

    fn piece(&mut self, who: &Who, side: usize, piece: Piece<'_>) {
        let from_orig = side == usize::from(who.orig_side);
        let (what, place) = match piece {
            Piece::Data(bytes, place) => (What::Bytes(bytes.to_vec()), place),
            Piece::Gap(len, place) => (What::Missing(len), place),
        };
        self.add(Said { who: *who, from_orig, place, what });
    }

    fn over(&mut self, who: &Who) {
        self.add(Said { who: *who, from_orig: false, place: Place::default(), what: What::Over });
    }
}

impl Listener {
    fn add(&self, said: Said) {
        if let Ok(mut all) = self.said.lock() {
            all.push(said);
        }
    }
}

/// Text of what flows say, made batch by batch.
pub struct Conversations {
    tracker: Tracker,
    said: Option<Arc<Mutex<Vec<Said>>>>,
    style: Style,
    colour: bool,
    zone: Zone,
    last: Option<(Who, bool)>,
    /// By flow: responder, originator.
    shown: HashMap<Uid, [Shown; 2]>,
    forgotten: bool,
    /// The last line has no end yet.
    in_line: bool,
    /// How many pieces or transactions have been written.
    pub written: u64,
}

const TCP: u8 = 6;
const ORIG: &str = "\x1b[31m";
const RESP: &str = "\x1b[34m";
const PLAIN: &str = "\x1b[0m";

impl Conversations {
    /// Both sides of the flows that `select` takes.
    #[must_use]
    pub fn follow(select: Select, style: Style, colour: bool, zone: Zone) -> Self {
        let streams = Wants { raw: true, ..Wants::default() };
        let mut tracker = Tracker::new(Options { streams, ..Options::default() });
        let said = Arc::new(Mutex::new(Vec::new()));
        if let Some(streams) = tracker.streams() {
            streams.listen(Box::new(Listener { select, said: said.clone() }));
        }
        Self::new(tracker, Some(said), style, colour, zone)
    }

    /// A line for each transaction of the kinds that are wanted, when it has ended.
    #[must_use]
    pub fn transactions(wants: Wants, zone: Zone) -> Self {
        let tracker = Tracker::new(Options { streams: wants, ..Options::default() });
        Self::new(tracker, None, Style::Text, false, zone)
    }

    fn new(tracker: Tracker, said: Option<Arc<Mutex<Vec<Said>>>>, style: Style, colour: bool, zone: Zone) -> Self {
        let (last, shown) = (None, HashMap::new());
        Self { tracker, said, style, colour, zone, last, shown, forgotten: false, in_line: false, written: 0 }
    }

    /// Takes a batch and writes what it completes.
    pub fn batch(&mut self, batch: &FrameBatch, packets: &[Packet], out: &mut Vec<u8>) {
        self.tracker.batch(batch, packets, None);
        self.tracker.release();
        self.write(out);
    }

    /// Time has passed without packets: flows that are idle at `now` (ns) end.
    pub fn expire(&mut self, now: i64, out: &mut Vec<u8>) {
        self.tracker.expire(now);
        self.tracker.release();
        self.write(out);
    }

    /// The input is over.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.tracker.finish();
        self.write(out);
        if self.colour && self.last.is_some() {
            out.extend_from_slice(PLAIN.as_bytes());
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        if let Some(said) = &self.said {
            let said = said.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default();
            for one in &said {
                self.said(one, out);
            }
            return;
        }
        let Some(streams) = self.tracker.streams() else { return };
        let mut rows = std::mem::take(streams.rows());
        rows.sort_by_key(|row| row.first.frame);
        for row in &rows {
            self.written += 1;
            out.extend_from_slice(line(row, &self.zone).as_bytes());
        }
    }

    fn said(&mut self, said: &Said, out: &mut Vec<u8>) {
        if let What::Over = said.what {
            // What was begun of a character stays so.
            let shown = self.shown.remove(&said.who.uid).unwrap_or_default();
            for (from_orig, side) in [false, true].into_iter().zip(shown).filter(|(_, side)| !side.begun.is_empty()) {
                self.turn(&Said { from_orig, place: side.place, who: said.who, what: What::Over }, out);
                dots(&side.begun, out);
                self.in_line = true;
            }
            return;
        }
        self.written += 1;
        if self.style == Style::Raw {
            if let What::Bytes(bytes) = &said.what {
                out.extend_from_slice(bytes);
            }
            return;
        }
        if self.style != Style::Json {
            self.turn(said, out);
        }
        if self.shown.len() >= MAX_FLOWS && !self.shown.contains_key(&said.who.uid) {
            self.shown.clear();
            self.forgotten = true;
        }
        let resumed = self.forgotten;
        let begin = || [(); 2].map(|()| Shown { resumed, ..Shown::default() });
        let side = &mut self.shown.entry(said.who.uid).or_insert_with(begin)[usize::from(said.from_orig)];
        match &said.what {
            What::Over => {}
            what if self.style == Style::Json => {
                out.extend_from_slice(object(said, (!side.resumed).then_some(side.offset)).as_bytes());
                side.offset += match what {
                    What::Bytes(bytes) => bytes.len() as u64,
                    What::Missing(len) => *len,
                    What::Over => 0,
                };
            }
            What::Missing(len) => {
                dots(&std::mem::take(&mut side.begun), out);
                out.extend_from_slice(format!("[{len} bytes are missing]\n").as_bytes());
                side.offset += len;
            }
            What::Bytes(bytes) => {
                if self.style == Style::Hex {
                    hex(bytes, side.offset, out);
                } else {
                    side.begun.extend_from_slice(bytes);
                    let len = printable(&side.begun, said.who.proto == TCP, out);
                    side.begun.drain(..len);
                    side.place = said.place;
                }
                side.offset += bytes.len() as u64;
            }
        }
        self.in_line = out.last().map_or(self.in_line, |byte| *byte != b'\n');
    }

    /// A heading where another side begins to speak.
    fn turn(&mut self, said: &Said, out: &mut Vec<u8>) {
        if self.last != Some((said.who, said.from_orig)) {
            self.last = Some((said.who, said.from_orig));
            self.heading(said, out);
        }
    }

    fn heading(&self, said: &Said, out: &mut Vec<u8>) {
        if self.in_line {
            out.push(b'\n');
        }
        if self.colour {
            out.extend_from_slice(if said.from_orig { ORIG } else { RESP }.as_bytes());
        }
        let mut text = String::new();
        stamp(said.place, &self.zone, &mut text);
        let ends = ends(&said.who);
        let (from, to) = if said.from_orig { (&ends.0, &ends.1) } else { (&ends.1, &ends.0) };
        let uid = said.who.uid.text();
        let uid = String::from_utf8_lossy(&uid);
        out.extend_from_slice(format!("-- {text}{from} > {to} {uid}\n").as_bytes());
    }
}

/// `12:34:56.123456 ` in local time; nothing where none was recorded.
fn stamp(place: Place, zone: &Zone, out: &mut String) {
    let Some(ts) = place.time() else { return };
    let ahead = i64::from(zone.at(ts.div_euclid(1_000_000_000))) * 1_000_000_000;
    let micros = ts.saturating_add(ahead).div_euclid(1000);
    let (second, micro) = (micros.div_euclid(1_000_000).rem_euclid(86_400), micros.rem_euclid(1_000_000));
    let written = write!(out, "{:02}:{:02}:{:02}.{micro:06} ", second / 3600, second / 60 % 60, second % 60);
    debug_assert!(written.is_ok(), "writing to a String does not fail");
}

fn ends(who: &Who) -> (String, String) {
    let end = |bytes, port| format!("{}.{port}", address(who.family, bytes));
    (end(who.orig, who.orig_p), end(who.resp, who.resp_p))
}

/// Text with its line ends; what a terminal would act on is a dot, UTF-8 stays. Says how many bytes that are: all, or where
/// more may come those before a character that is not whole.
fn printable(bytes: &[u8], goes_on: bool, out: &mut Vec<u8>) -> usize {
    let mut done = 0;
    for chunk in bytes.utf8_chunks() {
        done += chunk.valid().len() + chunk.invalid().len();
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\t' => out.push(c as u8),
                '\r' => {}
                c if c.is_control() => out.push(b'.'),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        let is_begun = std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        if goes_on && is_begun && done == bytes.len() {
            return done - chunk.invalid().len();
        }
        dots(chunk.invalid(), out);
    }
    done
}

/// A piece as a JSON object on a line: its bytes are `text` where they are UTF-8, else `hex`; neither where they are missing.
fn object(said: &Said, offset: Option<u64>) -> String {
    let offset = offset.map_or_else(|| "null".to_owned(), |offset| offset.to_string());
    let mut out = String::from("{\"ts\":");
    let Said { who, from_orig, place, what } = said;
    match place.time() {
        Some(ts) => {
            out.push('"');
            utc(ts, 1_000_000_000, &mut out).unwrap_or_default();
            out.push('"');
        }
        None => out.push_str("null"),
    }
    let (orig, resp) = ((address(who.family, who.orig), who.orig_p), (address(who.family, who.resp), who.resp_p));
    let (src, dst) = if *from_orig { (orig, resp) } else { (resp, orig) };
    let (uid, frame) = (who.uid.text(), place.frame);
    let uid = String::from_utf8_lossy(&uid);
    let proto = if who.proto == TCP { "tcp" } else { "udp" };
    let (len, bytes) = match what {
        What::Bytes(bytes) => (bytes.len() as u64, Some(bytes)),
        What::Missing(len) => (*len, None),
        What::Over => (0, None),
    };
    write!(
        out,
        ",\"frame_number\":{frame},\"uid\":\"{uid}\",\"proto\":\"{proto}\",\"from_orig\":{from_orig},\
         \"ip_src\":\"{}\",\"src_port\":{},\"ip_dst\":\"{}\",\"dst_port\":{},\"offset\":{offset},\"len\":{len},\"text\":",
        src.0, src.1, dst.0, dst.1
    )
    .unwrap_or_default();
    let text = bytes.map(|bytes| std::str::from_utf8(bytes));
    match text {
        Some(Ok(text)) => json::string(text, &mut out),
        _ => out.push_str("null"),
    }
    out.push_str(",\"hex\":");
    match bytes.filter(|_| text.is_some_and(|text| text.is_err())) {
        Some(bytes) => {
            out.push('"');
            bytes.iter().for_each(|byte| write!(out, "{byte:02x}").unwrap_or_default());
            out.push('"');
        }
        None => out.push_str("null"),
    }
    out.push_str("}\n");
    out
}

fn dots(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(bytes.iter().map(|_| b'.'));
}

fn hex(bytes: &[u8], offset: u64, out: &mut Vec<u8>) {
    for (i, row) in bytes.chunks(16).enumerate() {
        let mut text = format!("{:08x}  ", offset + i as u64 * 16);
        for at in 0..16 {
            match row.get(at) {
                Some(byte) => write!(text, "{byte:02x} ").unwrap_or_default(),
                None => text.push_str("   "),
            }
            if at == 7 {
                text.push(' ');
            }
        }
        text.push(' ');
        text.extend(row.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }));
        text.push('\n');
        out.extend_from_slice(text.as_bytes());
    }
}

/// A transaction as a line.
fn line(row: &Row, zone: &Zone) -> String {
    let mut out = String::new();
    stamp(row.first, zone, &mut out);
    let (orig, resp) = ends(&row.who);
    write!(out, "{orig} > {resp} ").unwrap_or_default();
    match &row.found {
        Found::Http(exchange) => super::transaction::http(exchange, &mut out),
        Found::Dns(exchange) => super::transaction::dns(exchange, &mut out),
        Found::Tls(handshake) => super::transaction::tls(handshake, &mut out),
        Found::Dhcp(message) => super::transaction::dhcp(message, &mut out),
        Found::File(_) | Found::Stream(_) => {}
    }
    // What comes from the wire must not drive the terminal.
    let mut safe: String = out.chars().map(|c| if c.is_control() { '.' } else { c }).collect();
    safe.push('\n');
    safe
}
