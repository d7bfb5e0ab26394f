//! One message (RFC 1035, 4).

use super::rdata;
use crate::decode::cursor::{be16, be32};
use compact_str::CompactString;
use std::sync::Arc;

/// Bytes in front of the first question (RFC 1035, 4.1.1).
const HEADER: usize = 12;
/// Longest name in wire form, bytes (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;
/// Compression pointers of one name: it cannot have more labels (RFC 1035, 2.3.4 and 4.1.4).
const MAX_POINTERS: usize = 127;
/// Bytes that most names have room in.
const USUAL_NAME: usize = 48;
/// Bytes of text that are made of one message: twice what 64 KiB of `\DDD` take. Pointers could make a thousand bytes of two.
const MAX_TEXT: usize = 1 << 19;
/// The same of an answer in several messages.
const MAX_TEXT_IN_ALL: usize = 1 << 22;
const TOO_MUCH: &str = "too much text";
/// Records of one message that are read; 64 KiB cannot hold many more.
pub(super) const MAX_RECORDS: usize = 6000;
/// Operation of queries, of which one may ask nothing and be over with its header.
const QUERY: u16 = 0;
/// Operation of messages that have neither questions nor records, only what follows the header (RFC 8490, 5.4).
const DSO: u16 = 6;
/// Set in the class of a question or record of mDNS, of which it is no part (RFC 6762, 5.4 and 10.2).
pub(super) const MULTICAST_BIT: u16 = 0x8000;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Name without the last dot; the root is `.`.
    pub name: Arc<str>,
    /// Type.
    pub qtype: u16,
    /// Class; mDNS's unicast bit included.
    pub class: u16,
}

/// A record of the answer section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Owner.
    pub name: Arc<str>,
    /// Type.
    pub rtype: u16,
    /// Time to live, seconds.
    pub ttl: u32,
    /// Its data as text.
    pub data: String,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Identification.
    pub id: u16,
    /// It answers.
    pub is_response: bool,
    /// Operation: 0 query, 4 notify, 5 update, 6 DSO (RFC 8490).
    pub opcode: u8,
    /// Cut short by the server.
    pub truncated: bool,
    /// Response code, the upper bits of EDNS (RFC 6891, 6.1.3) included.
    pub rcode: u16,
    /// Questions.
    pub questions: Vec<Question>,
    /// Answer section.
    pub answers: Vec<Answer>,
    /// By the header there are answers, whether or not they could be read.
    pub has_answers: bool,
    /// The authority section has records: in an mDNS query those that a host probes for (RFC 6762, 8.2).
    pub proposes: bool,
    /// A and AAAA records of the additional section: multicast answers tell addresses there (RFC 6763, 12).
    pub addresses: Vec<Answer>,
    /// Why reading stopped before the end.
    pub fault: Option<&'static str>,
    /// Bytes of all the texts.
    text: usize,
}

/// Whether bytes may be a message: a known operation, and questions, records, or one of those that have none: an answer, an
/// operation on the session, and a query that asks nothing (RFC 1035, 4.1.1).
#[must_use]
#[inline]
pub fn looks(bytes: &[u8]) -> bool {
    if bytes.len() < HEADER {
        return false;
    }
    let flags = be16(bytes, 2);
    let records: u32 = (4..12).step_by(2).map(|at| u32::from(be16(bytes, at))).sum();
    let opcode = flags >> 11 & 0x0f;
    let may_be_empty = opcode == DSO || flags & 0x8000 != 0 || (opcode == QUERY && bytes.len() == HEADER);
    matches!(opcode, 0..=2 | 4..=6) && (records > 0 || may_be_empty)
}

/// The name of a message's first question, as [`Message::parse`] reads it.
pub(super) fn first_name(bytes: &[u8]) -> Option<CompactString> {
    if bytes.len() < HEADER || be16(bytes, 4) == 0 {
        return None;
    }
    let mut at = HEADER;
    let name = name(bytes, &mut at).ok()?;
    bytes.get(at..at + 4).map(|_| name.into())
}

/// The names in front of questions and records. Most are those of the one before, by a pointer: they are kept once.
struct Names<'a> {
    bytes: &'a [u8],
    /// Where the last one stands, and the one.
    last: Option<(usize, Arc<str>)>,
    buffer: Vec<u8>,
}

impl Names<'_> {
    /// The name at `at`, which moves behind it; what is new of its text is taken from `room`.
    fn read(&mut self, at: &mut usize, room: &mut usize) -> Result<Arc<str>, &'static str> {
        let stands = match self.bytes.get(*at..*at + 2) {
            Some(pointer) if pointer[0] >> 6 == 3 => usize::from(be16(pointer, 0) & 0x3fff),
            _ => *at,
        };
        if let Some((_, name)) = self.last.as_ref().filter(|(last, _)| *last == stands) {
            *at += 2;
            return Ok(name.clone());
        }
        self.buffer.clear();
        read_name(self.bytes, at, &mut self.buffer)?;
        let name: Arc<str> = std::str::from_utf8(&self.buffer).map_err(|_| NO_TEXT)?.into();
        *room = room.checked_sub(name.len()).ok_or(TOO_MUCH)?;
        self.last = Some((stands, name.clone()));
        Ok(name)
    }
}

impl Message {
    /// Reads a message; `None` if even the header is not there. What is wrong behind it is its `fault`.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER {
            return None;
        }
        let flags = be16(bytes, 2);
        let mut message = Self {
            id: be16(bytes, 0),
            is_response: flags & 0x8000 != 0,
            opcode: (flags >> 11 & 0x0f) as u8,
            truncated: flags & 0x0200 != 0,
            rcode: flags & 0x0f,
            questions: Vec::new(),
            answers: Vec::new(),
            has_answers: be16(bytes, 6) > 0,
            proposes: be16(bytes, 8) > 0,
            addresses: Vec::new(),
            fault: None,
            text: 0,
        };
        let mut room = MAX_TEXT;
        message.fault = message.sections(bytes, &mut room).err();
        message.text = MAX_TEXT - room;
        Some(message)
    }

    /// Bytes of the texts that it keeps.
    pub(super) fn text_len(&self) -> usize {
        self.text
    }

    /// Forgets everything but its questions.
    pub(super) fn forget_records(&mut self) {
        (self.answers, self.addresses) = (Vec::new(), Vec::new());
        self.text = self.questions.iter().map(|question| question.name.len()).sum();
    }

    /// Adds the answers of a further message that answers the same question. What it says else is in the first.
    pub(super) fn go_on(&mut self, next: Self) {
        let room = MAX_RECORDS.saturating_sub(self.answers.len());
        let too_many = (next.answers.len() > room).then_some("too many records");
        // Nothing fits behind what did not.
        self.text += next.text;
        let too_much = (self.text > MAX_TEXT_IN_ALL).then_some(TOO_MUCH);
        self.answers.extend(next.answers.into_iter().take(if too_much.is_none() { room } else { 0 }));
        self.has_answers |= next.has_answers;
        self.rcode = self.rcode.max(next.rcode);
        self.fault = self.fault.or(next.fault).or(too_many).or(too_much);
    }

    /// Reads what is behind the header; its texts are taken from `room`.
    fn sections(&mut self, bytes: &[u8], room: &mut usize) -> Result<(), &'static str> {
        let mut at = HEADER;
        let mut names = Names { bytes, last: None, buffer: Vec::with_capacity(USUAL_NAME) };
        for _ in 0..be16(bytes, 4) {
            let name = names.read(&mut at, room)?;
            let fixed = bytes.get(at..at + 4).ok_or("question cut short")?;
            at += 4;
            self.questions.push(Question { name, qtype: be16(fixed, 0), class: be16(fixed, 2) });
            if self.questions.len() >= MAX_RECORDS {
                return Err("too many questions");
            }
        }
        let answers = usize::from(be16(bytes, 6));
        let additional = answers + usize::from(be16(bytes, 8));
        let records = additional + usize::from(be16(bytes, 10));
        for index in 0..records.min(MAX_RECORDS) {
            let name = names.read(&mut at, room)?;
            let fixed = bytes.get(at..at + 10).ok_or("record cut short")?;
            let (rtype, ttl, len) = (be16(fixed, 0), be32(fixed, 4), usize::from(be16(fixed, 8)));
            let class = be16(fixed, 2) & !MULTICAST_BIT;
            at += 10;
            if at + len > bytes.len() {
                return Err("record longer than the message");
            }
            if rtype == 41 {
                self.rcode |= (ttl >> 24 << 4) as u16;
            }
            if index < answers {
                let data = rdata::text(bytes, at, len, rtype, class)?;
                *room = room.checked_sub(data.len()).ok_or(TOO_MUCH)?;
                self.answers.push(Answer { name, rtype, ttl, data });
            } else if index >= additional
                && matches!((rtype, class), (1 | 28, rdata::IN))
                && let Ok(data) = rdata::text(bytes, at, len, rtype, class)
            {
                self.addresses.push(Answer { name, rtype, ttl, data });
            }
            at += len;
        }
        if records > MAX_RECORDS { Err("too many records") } else { Ok(()) }
    }
}

/// Reads a name at `at`, which moves behind it. Compression pointers may only point back, before where the name or
/// its last pointer began, so they cannot loop (RFC 1035, 4.1.4).
pub(super) fn name(bytes: &[u8], at: &mut usize) -> Result<String, &'static str> {
    let mut out = Vec::with_capacity(USUAL_NAME);
    read_name(bytes, at, &mut out)?;
    // Labels are appended as UTF-8; to look once is less than at each of them.
    String::from_utf8(out).map_err(|_| NO_TEXT)
}

const NO_TEXT: &str = "name that is no text";

fn read_name(bytes: &[u8], at: &mut usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut pos = *at;
    let mut pointers = 0;
    let mut floor = pos;
    let mut end = None;
    let mut length = 1;
    loop {
        let len = usize::from(*bytes.get(pos).ok_or("name cut short")?);
        match len >> 6 {
            0 if len == 0 => break,
            0 => {
                let label = bytes.get(pos + 1..pos + 1 + len).ok_or("name cut short")?;
                length += len + 1;
                if length > MAX_NAME {
                    return Err("name longer than 255 bytes");
                }
                if !out.is_empty() {
                    out.push(b'.');
                }
                push_label(label, out);
                pos += 1 + len;
            }
            3 => {
                let low = usize::from(*bytes.get(pos + 1).ok_or("name cut short")?);
                let target = (len & 0x3f) << 8 | low;
                end.get_or_insert(pos + 2);
                if target >= floor {
                    return Err("compression pointer does not point back");
                }
                pointers += 1;
                if pointers > MAX_POINTERS {
                    return Err("too many compression pointers");
                }
                (pos, floor) = (target, target);
            }
            _ => return Err("unknown label type"),
        }
    }
    *at = end.unwrap_or(pos + 1);
    if out.is_empty() {
        out.push(b'.');
    }
    Ok(())
}

/// A label as text: UTF-8 as it is (RFC 6762, 16), dots and backslashes escaped, other bytes and those of control
/// characters as `\DDD`, which is an octet (RFC 1035, 5.1): C1 is two of them in UTF-8.
fn push_label(label: &[u8], out: &mut Vec<u8>) {
    // As most are.
    if label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return out.extend_from_slice(label);
    }
    for chunk in label.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '.' | '\\' => out.extend([b'\\', c as u8]),
                c if c.is_control() => octets(c.encode_utf8(&mut [0; 4]).as_bytes(), out),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        octets(chunk.invalid(), out);
    }
}

fn octets(bytes: &[u8], out: &mut Vec<u8>) {
    bytes.iter().for_each(|byte| out.extend(octet(*byte)));
}

/// An octet as `\DDD`.
pub(super) fn octet(byte: u8) -> [u8; 4] {
    [b'\\', b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push_label(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_characters_are_escaped_by_octet() {
        assert_eq!(label(b"\xc2\x85ab"), r"\194\133ab");
        assert_eq!(label(b"\x85ab"), r"\133ab");
        assert_eq!(label(b"\0\x1f\x7f"), r"\000\031\127");
        assert_eq!(label("\u{80}\u{9f}\u{a0}\u{e9}".as_bytes()), "\\194\\128\\194\\159\u{a0}\u{e9}");
    }

    /// `example SOA IN` of an update: a prerequisite and an update with this class, type and data, an additional record.
    fn update(class: u16, rtype: u16, data: &[u8]) -> Vec<u8> {
        let mut record = b"\x01a\xc0\x0c".to_vec();
        record.extend([rtype.to_be_bytes(), class.to_be_bytes(), [0; 2], [0; 2]].as_flattened());
        record.extend((data.len() as u16).to_be_bytes());
        record.extend(data);
        let last = b"\x01b\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x01\x02\x03\x04";
        let head = b"\0\x02\x28\0\0\x01\0\x01\0\x01\0\x01\x07example\0\0\x06\0\x01";
        [head.as_slice(), &record, &record, last].concat()
    }

    #[test]
    fn prerequisites_without_data() {
        for (class, rtype) in [(254, 1), (255, 1), (254, 28), (255, 255), (255, 33), (254, 6)] {
            let parsed = Message::parse(&update(class, rtype, b"")).unwrap();
            assert_eq!(parsed.fault, None, "{class} {rtype}");
            assert_eq!((&*parsed.answers[0].name, parsed.answers[0].data.as_str()), ("a.example", ""));
            assert_eq!(parsed.addresses[0].data, "1.2.3.4");
        }
        assert_eq!(Message::parse(&update(1, 1, b"")).unwrap().fault, Some("A record not of 4 bytes"));
    }

    #[test]
    fn records_behind_one_of_another_class_are_read() {
        let parsed = Message::parse(&update(3, 1, b"\x02ch\0\x12\x34")).unwrap();
        assert_eq!(parsed.fault, None);
        assert_eq!(parsed.answers[0].data, r"\# 6 026368001234");
        assert_eq!(&*parsed.addresses[0].name, "b.example");
    }

    #[test]
    fn the_bit_of_multicast_is_no_class() {
        let parsed = Message::parse(&update(0x8001, 1, &[192, 0, 2, 1])).unwrap();
        assert_eq!((parsed.fault, parsed.answers[0].data.as_str()), (None, "192.0.2.1"));
    }

    #[test]
    fn addresses_are_of_the_internet() {
        let mut other = update(1, 1, &[192, 0, 2, 1]);
        let class = other.len() - 4 - 2 - 4 - 1;
        other[class] = 3;
        assert_eq!(Message::parse(&other).unwrap().addresses, []);
    }

    #[test]
    fn messages_without_records() {
        let header = |flags: u16| [&[0, 5], flags.to_be_bytes().as_slice(), &[0; 8]].concat();
        // A keepalive of a session, and its answer.
        assert!(looks(&header(0x3000)));
        assert!(looks(&header(0xb000)));
        assert!(looks(&header(0x8181)));
        // A query that asks nothing, and more zeros than that.
        assert!(looks(&header(0x0100)));
        assert!(!looks(&[0; 13]));
        // Another operation that has nothing to do, operation 3 and one above the known.
        assert!(!looks(&header(0x2000)));
        assert!(!looks(&header(0x9800)));
        assert!(!looks(&header(0x3800)));
        assert!(!looks(&header(0x3000)[..11]));
        let parsed = Message::parse(&[header(0x3000), b"\0\x01\0\x08\0\0\0\0\0\0\0\0".to_vec()].concat()).unwrap();
        assert_eq!((parsed.opcode, parsed.is_response, parsed.fault), (6, false, None));
    }
}
