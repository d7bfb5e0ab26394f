//! DNS messages against RFC 1035 and the RFCs of their types.

use super::message::Message;
use proptest::prelude::*;
use std::sync::Arc;

/// A message with these counts of questions and answers, then `rest`.
fn message(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    bytes.extend(flags.to_be_bytes());
    bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    bytes.extend(rest);
    bytes
}

/// `www.example.com IN type`, at offset 12.
const QUESTION: &[u8] = b"\x03www\x07example\x03com\0\0\x01\0\x01";

fn answer(rtype: u16, data: &[u8]) -> Vec<u8> {
    let mut record = vec![0xc0, 12];
    record.extend(rtype.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 60]);
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

fn data(rtype: u16, data: &[u8]) -> String {
    let bytes = message(0x8180, [1, 1, 0, 0], &[QUESTION, &answer(rtype, data)].concat());
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.fault, None);
    assert_eq!(&*message.answers[0].name, "www.example.com");
    assert_eq!(message.answers[0].ttl, 60);
    message.answers[0].data.clone()
}

#[test]
fn a_query() {
    let parsed = Message::parse(&message(0x0100, [1, 0, 0, 0], QUESTION)).unwrap();
    assert_eq!((parsed.id, parsed.is_response, parsed.rcode), (0x1234, false, 0));
    assert_eq!(&*parsed.questions[0].name, "www.example.com");
    assert_eq!(parsed.questions[0].qtype, 1);
    assert_eq!(parsed.fault, None);
}

#[test]
fn records_as_text() {
    assert_eq!(data(1, &[192, 0, 2, 1]), "192.0.2.1");
    assert_eq!(data(28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "2001:db8::1");
    assert_eq!(data(5, b"\x01x\xc0\x10"), "x.example.com");
    assert_eq!(data(15, b"\0\x0a\xc0\x10"), "10 example.com");
    assert_eq!(data(16, b"\x02ab\x03c\"d"), r#""ab" "c\"d""#);
    assert_eq!(data(33, b"\0\x01\0\x02\x01\xbb\xc0\x0c"), "1 2 443 www.example.com");
    assert_eq!(
        data(6, &[b"\xc0\x10\x01h\xc0\x10".as_slice(), &[0; 19], &[9]].concat()),
        "example.com h.example.com 0 0 0 0 9"
    );
    assert_eq!(data(257, b"\0\x05issueca.example"), r#"0 issue "ca.example""#);
    assert_eq!(data(65, b"\0\x01\0\0\x01\0\x03\x02h2\0\x03\0\x02\x01\xbb"), "1 . alpn=h2 port=443");
    assert_eq!(data(43, &[1, 2, 8, 2, 0xab, 0xcd]), "258 8 2 abcd");
    assert_eq!(data(35, b"\0\x01\0\x02\x01u\x00\x01r\xc0\x10"), r#"1 2 "u" "" "r" example.com"#);
    assert_eq!(data(999, &[1, 0xff]), "\\# 2 01ff");
}

#[test]
fn names_that_do_not_print() {
    let parsed = Message::parse(&message(0, [1, 0, 0, 0], b"\x05a.b\\\x01\x02\xff\x80\0\0\x01\0\x01")).unwrap();
    assert_eq!(&*parsed.questions[0].name, r"a\.b\\\001.\255\128");
    let root = Message::parse(&message(0, [1, 0, 0, 0], b"\0\0\x02\0\x01")).unwrap();
    assert_eq!(&*root.questions[0].name, ".");
}

#[test]
fn edns_widens_the_response_code() {
    let opt = [0, 0, 41, 4, 0xd0, 1, 0, 0, 0, 0, 0];
    assert_eq!(Message::parse(&message(0x8000, [0, 0, 0, 1], &opt)).unwrap().rcode, 16);
}

#[test]
fn pointers_that_do_not_point_back_are_refused() {
    for name in [
        b"\xc0\x0c\0\x01\0\x01".as_slice(),
        b"\xc0\x0e\0\x01\0\x01",
        b"\x01a\xc0\x0c\0\x01\0\x01",
        b"\xc0\xff\0\x01\0\x01",
    ] {
        let parsed = Message::parse(&message(0, [1, 0, 0, 0], name)).unwrap();
        assert_eq!(parsed.fault, Some("compression pointer does not point back"));
    }
    // Back, but into a loop that only ever goes back: two pointers at each other's place.
    let looped = message(0, [2, 0, 0, 0], b"\x01a\0\0\x01\0\x01\xc0\x13\0\x01\0\x01");
    assert_eq!(Message::parse(&looped).unwrap().fault, Some("compression pointer does not point back"));
}

#[test]
fn lengths_that_lie_are_faults() {
    let long = message(0x8000, [0, 1, 0, 0], b"\0\0\x01\0\x01\0\0\0\0\xff\xff\x01");
    assert_eq!(Message::parse(&long).unwrap().fault, Some("record longer than the message"));
    let counts = message(0x8000, [0xffff, 0xffff, 0xffff, 0xffff], b"");
    assert_eq!(Message::parse(&counts).unwrap().fault, Some("name cut short"));
    let wide = message(0, [1, 0, 0, 0], &[[63; 64].repeat(5), vec![0, 0, 1, 0, 1]].concat());
    assert_eq!(Message::parse(&wide).unwrap().fault, Some("name longer than 255 bytes"));
}

#[test]
fn every_prefix_of_a_message_is_read_as_far_as_it_goes() {
    let bytes =
        message(0x8180, [1, 2, 0, 0], &[QUESTION, &answer(1, &[1, 2, 3, 4]), &answer(5, b"\x01x\xc0\x10")].concat());
    for end in 0..bytes.len() {
        let parsed = Message::parse(&bytes[..end]);
        assert_eq!(parsed.is_none(), end < 12);
        assert!(parsed.is_none_or(|message| message.fault.is_some() && message.has_answers));
    }
}

/// A response of 4,680 NS records, whose owner and data point to one name of 255 bytes.
fn bomb() -> Vec<u8> {
    let label = |len: usize| [&[len as u8][..], &vec![1; len]].concat();
    let question = [label(63), label(63), label(63), label(60), b"\0\0\x02\0\x01".to_vec()].concat();
    let record = b"\xc0\x0c\0\x02\0\x01\0\0\0\x01\0\x02\xc0\x0c";
    message(0x8180, [1, 4650, 0, 0], &[question, record.repeat(4650)].concat())
}

#[test]
fn pointers_do_not_multiply_text_without_end() {
    let parsed = Message::parse(&bomb()).unwrap();
    assert_eq!(parsed.fault, Some("too much text"));
    let texts: usize = parsed.answers.iter().map(|answer| answer.data.len()).sum();
    assert!((500_000..=1 << 19).contains(&(texts + parsed.questions[0].name.len())), "{texts}");
    assert!(parsed.answers.iter().all(|answer| Arc::ptr_eq(&answer.name, &parsed.questions[0].name)));
    // What 64 KiB hold without them all fits.
    let strings = [&[255][..], &[0x80; 255]].concat().repeat(250);
    let long = message(0x8180, [1, 1, 0, 0], &[QUESTION, &answer(16, &strings)].concat());
    let parsed = Message::parse(&long).unwrap();
    assert_eq!((parsed.fault, parsed.answers[0].data.len()), (None, 250 * (255 * 4 + 3) - 1));
}

#[test]
fn answers_in_many_messages_have_a_bound_for_their_text() {
    let mut all = Message::parse(&bomb()).unwrap();
    all.fault = None;
    let one = all.answers.len();
    for _ in 0..20 {
        let mut next = Message::parse(&bomb()).unwrap();
        next.fault = None;
        all.go_on(next);
    }
    assert_eq!(all.fault, Some("too much text"));
    assert!(all.text_len() >= 1 << 22 && all.answers.len() <= 9 * one, "{}", all.answers.len());
}

#[test]
fn a_name_has_no_more_pointers_than_labels() {
    // Each pointer leads to the one before, the first to the question's name.
    let chain = |count: usize| -> Vec<u8> {
        let start = 12 + QUESTION.len() + 11;
        let place = |at: usize| if at == 0 { 12 } else { start + 2 * (at - 1) };
        (0..count).flat_map(|at| (0xc000 | place(at) as u16).to_be_bytes()).collect()
    };
    let read = |count: usize| {
        let data = chain(count);
        let last = 0xc000 | (12 + QUESTION.len() + 11 + 2 * (count - 1)) as u16;
        let head = [&[0, 0xff, 0x80, 0, 1, 0, 0, 0, 60][..], &(data.len() as u16).to_be_bytes()].concat();
        let name = [&last.to_be_bytes()[..], &[0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]].concat();
        Message::parse(&message(0x8180, [1, 2, 0, 0], &[QUESTION, &head, &data, &name].concat())).unwrap()
    };
    let most = read(126);
    assert_eq!((most.fault, &*most.answers[1].name), (None, "www.example.com"));
    assert_eq!(read(127).fault, Some("too many compression pointers"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Message::parse(&bytes);
    }
}
