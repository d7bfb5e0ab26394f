//! HTTP/1 against RFC 9112, each conversation fed whole, byte by byte, and in pieces of every size between.

use super::*;
use crate::app::content::{Body, MAX_DECODED, Work};
use crate::stream::{Piece, Place};
use std::fmt::Write as _;

/// One line an exchange: what a table would show.
fn lines(steps: &[(Side, &[u8])], size: usize) -> String {
    let mut conversation = Conversation::default();
    let mut bodies = Hashed(true);
    let mut frame = 0;
    for (side, bytes) in steps {
        for piece in bytes.chunks(size) {
            frame += 1;
            let place = Place { ts: frame, frame: frame as u64, timed: true };
            conversation.piece(*side, Piece::Data(piece, place), &mut bodies);
        }
    }
    conversation.close(Side::Response, true, Place { ts: frame, frame: frame as u64, timed: true }, &mut bodies);
    conversation.finish(&mut bodies);
    let done: Vec<Exchange> = conversation.take_done().map(|one| *one).collect();
    done.iter().map(line).collect()
}

fn line(one: &Exchange) -> String {
    let mut out = format!("{}:", one.depth);
    for part in [&one.request, &one.response] {
        match part {
            None => out.push_str(" -"),
            Some(part) => {
                match &part.head.start {
                    Start::Request { method, uri } => write!(out, " {method} {uri} {}", part.head.version),
                    Start::Response { status, message } => write!(out, " {status} {message}"),
                }
                .unwrap();
                if part.body.len > 0 {
                    write!(out, " [{} {}", part.body.len, part.body.decoded_len).unwrap();
                    let hash = part.body.sha256.unwrap();
                    write!(out, " {:02x}{:02x}]", hash[0], hash[1]).unwrap();
                }
            }
        }
    }
    if let Some(fault) = one.fault() {
        write!(out, " ({fault})").unwrap();
    }
    out.push('\n');
    out
}

/// The lines of a conversation, the same however it is cut.
fn same(steps: &[(Side, &[u8])]) -> String {
    let whole = lines(steps, usize::MAX);
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(lines(steps, size), whole, "in pieces of {size}");
    }
    whole
}

const Q: Side = Side::Request;
const A: Side = Side::Response;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn response(fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").as_bytes(), body].concat()
}

#[test]
fn a_request_and_its_response() {
    let steps: [(Side, &[u8]); 2] =
        [(Q, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"), (A, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")];
    // SHA-256 of "abc" begins ba78 (FIPS 180-4, B.1).
    assert_eq!(same(&steps), "1: GET /a 1.1 200 OK [3 3 ba78]\n");
}

#[test]
fn pipelined_requests_get_their_responses_in_order() {
    let steps: [(Side, &[u8]); 2] = [
        (Q, b"HEAD /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.0\r\n\r\n"),
        (
            A,
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\n\
              Content-Length: 7\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.0 200 OK\r\n\r\nabc",
        ),
    ];
    assert_eq!(
        same(&steps),
        "1: HEAD /1 1.1 200 OK\n2: GET /2 1.1 304 Not Modified\n3: GET /3 1.1 204 No Content\n\
         4: GET /4 1.0 200 OK [3 3 ba78]\n"
    );
}

#[test]
fn chunks_with_extensions_and_trailers() {
    let steps: [(Side, &[u8]); 2] = [
        (Q, b"POST /c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1;a=b\r\na\r\n00000000000000000002 ; x\r\nbc\r\n0\r\nT: 1\r\n\r\n"),
        (A, b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n"),
    ];
    assert_eq!(same(&steps), "1: POST /c 1.1 [3 3 ba78] 200  [3 3 ba78]\n");
}

#[test]
fn a_part_of_a_coded_body_is_taken_as_transferred() {
    let whole = gzip(b"abc");
    let partial = |fields: &str, body: &[u8]| {
        let length = body.len();
        let head = format!("HTTP/1.1 206 P\r\n{fields}Content-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let ask: (Side, &[u8]) = (Q, b"GET /r HTTP/1.1\r\n\r\n");
    for range in
        ["Content-Range: bytes 4-9/99\r\n", "Content-Range: bytes 0-5/99\r\n", "Content-Range: bytes 0-5/*\r\n", ""]
    {
        let text = same(&[ask, (A, &partial(range, &whole[..6]))]);
        assert!(text.starts_with("1: GET /r 1.1 206 P [6 6 ") && text.ends_with("]\n"), "{range}{text}");
    }
    let all = |unit: &str| format!("Content-Range: {unit} 0-{}/{}\r\n", whole.len() - 1, whole.len());
    for unit in ["bytes", "Bytes"] {
        let text = same(&[ask, (A, &partial(&all(unit), &whole))]);
        assert_eq!(text, format!("1: GET /r 1.1 206 P [{} 3 ba78]\n", whole.len()));
    }
}

#[test]
fn empty_elements_of_transfer_encoding_do_not_count() {
    for fields in ["Transfer-Encoding: chunked,", "Transfer-Encoding: chunked\r\nTransfer-Encoding:"] {
        let body = format!("{fields}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let (request, answer) = (format!("POST /c HTTP/1.1\r\n{body}"), format!("HTTP/1.1 200 OK\r\n{body}"));
        let steps = [(Q, request.as_bytes()), (A, answer.as_bytes()), (Q, request.as_bytes()), (A, answer.as_bytes())];
        let text = "POST /c 1.1 [3 3 ba78] 200 OK [3 3 ba78]\n";
        assert_eq!(same(&steps), format!("1: {text}2: {text}"), "{fields}");
    }
}

#[test]
fn codings_are_undone() {
    let page = b"abc".as_slice();
    let zip = gzip(page);
    let twice = gzip(&zip);
    let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut deflated, page).unwrap();
    let zlib = deflated.finish().unwrap();
    let raw = &zlib[2..zlib.len() - 4];
    let zstd = zstd::encode_all(page, 1).unwrap();
    // An uncompressed meta-block (RFC 7932, 9.2): window 16, "abc", then the empty last block.
    let brotli = [0x20, 0x00, 0x10, b'a', b'b', b'c', 0x03];
    let cases: [(&str, &[u8]); 7] = [
        ("gzip", &zip),
        ("gzip, x-gzip", &twice),
        ("deflate", &zlib),
        ("deflate", raw),
        ("zstd", &zstd),
        ("br", &brotli),
        ("identity", page),
    ];
    for (coding, body) in cases {
        let answer = response(&format!("Content-Encoding: {coding}\r\nContent-Length: {}", body.len()), body);
        let text = same(&[(Q, b"GET / HTTP/1.1\r\n\r\n"), (A, &answer)]);
        assert_eq!(text, format!("1: GET / 1.1 200 OK [{} 3 ba78]\n", body.len()), "{coding}");
    }
}

#[test]
fn transfer_codings_are_undone_behind_the_chunks_and_before_content_codings() {
    let (once, twice) = (gzip(b"abc"), gzip(&gzip(b"abc")));
    let cases = [("", &once, "gzip, chunked"), ("Content-Encoding: gzip\r\n", &twice, "x-gzip,,Chunked")];
    for (fields, body, coding) in cases {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: {coding}\r\n\r\n{:x}\r\n", body.len());
        let answer = [head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
        let text = same(&[(Q, b"GET / HTTP/1.1\r\n\r\n"), (A, &answer)]);
        assert_eq!(text, format!("1: GET / 1.1 200 OK [{} 3 ba78]\n", body.len()), "{coding}");
    }
}

#[test]
fn a_coding_that_is_cut_is_not_whole() {
    let page: Vec<u8> = (0..20_000u32).flat_map(|n| (n * n % 8191).to_string().into_bytes()).collect();
    let zstd = zstd::encode_all(&page[..], 1).unwrap();
    let two = [&zstd[..], &zstd].concat();
    for (coding, body) in [("gzip", &gzip(&page)[..]), ("zstd", &zstd), ("zstd", &two)] {
        for (len, whole) in [(body.len() * 3 / 4, false), (body.len() - 1, false), (body.len(), true)] {
            let answer = response(&format!("Content-Encoding: {coding}\r\nContent-Length: {len}"), &body[..len]);
            let text = same(&[(Q, b"GET / HTTP/1.1\r\n\r\n"), (A, &answer)]);
            assert_eq!(text.ends_with("(content coding damaged)\n"), !whole, "{coding} {len}: {text}");
        }
    }
}

#[test]
fn a_body_without_most_of_its_bytes_has_no_hash() {
    let sha256 = |gaps: &[u64]| {
        let mut body = Body::new(None, Work::Hash, None, u64::MAX);
        gaps.iter().for_each(|len| body.gap(*len));
        body.finish().0.sha256.is_some()
    };
    assert_eq!([&[1 << 24][..], &[1 << 24, 1], &[1 << 40]].map(sha256), [true, false, false]);
}

#[test]
fn a_body_of_no_bytes_is_whole_in_any_coding() {
    for coding in ["gzip", "gzip, gzip", "deflate", "zstd", "br"] {
        for (framing, body) in [("Transfer-Encoding: chunked", "0\r\n\r\n"), ("Connection: close", "")] {
            let answer = response(&format!("Content-Encoding: {coding}\r\n{framing}"), body.as_bytes());
            assert_eq!(same(&[(Q, b"GET / HTTP/1.1\r\n\r\n"), (A, &answer)]), "1: GET / 1.1 200 OK\n", "{coding}");
        }
    }
}

#[test]
fn what_is_not_in_its_coding_is_kept_as_it_came() {
    let answer = response("Content-Encoding: gzip\r\nContent-Length: 3", b"abc");
    let text = same(&[(Q, b"GET / HTTP/1.1\r\n\r\n"), (A, &answer)]);
    assert_eq!(text, "1: GET / 1.1 200 OK [3 3 ba78] (not in the content coding that its head names)\n");
    for coding in ["gzip", "deflate", "br", "zstd", "deflate, gzip"] {
        let answer = response(&format!("Content-Encoding: {coding}\r\nContent-Length: 1"), b"A");
        let text = same(&[(Q, b"GET / HTTP/1.1\r\n\r\n"), (A, &answer)]);
        let kept = "1: GET / 1.1 200 OK [1 1 559a] (not in the content coding that its head names)\n";
        assert_eq!(text, kept, "{coding}");
    }
}

#[test]
fn where_a_coding_breaks_does_not_depend_on_the_segments() {
    let page: Vec<u8> = (0..20_000u32).flat_map(|n| (n * n % 8191).to_string().into_bytes()).collect();
    let zstd = zstd::encode_all(&page[..], 1).unwrap();
    let long_name = [&b"\x1f\x8b\x08\x08\0\0\0\0\0\0"[..], &[b'n'; 3000], b"\0\x07", &[b'x'; 1700]].concat();
    let longer_name = [&b"\x1f\x8b\x08\x08\0\0\0\0\0\0"[..], &[b'n'; 6000], b"\0\x07", &[b'x'; 1700]].concat();
    let ask: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    let say = |coding: &str, body: &[u8]| {
        let head = format!("Content-Encoding: {coding}\r\nContent-Length: {}", body.len());
        same(&[(Q, ask), (A, &response(&head, body))])
    };
    for body in [&page[..5000], &long_name] {
        assert!(say("gzip", body).ends_with("(not in the content coding that its head names)\n"));
    }
    assert!(say("gzip", &longer_name).ends_with("(content coding damaged)\n"));
    for (coding, good) in [("gzip", gzip(&page)), ("zstd", zstd)] {
        for at in [0, 1, 3, 12, 100, 255, 256, 300, 1000, 4095, 4096, 9000, good.len() - 3] {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            say(coding, &bad);
            say(coding, &good[..at]);
        }
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let bomb = gzip(&gzip(&vec![0; MAX_DECODED as usize + 1]));
    let answer = response(&format!("Content-Encoding: gzip, gzip\r\nContent-Length: {}", bomb.len()), &bomb);
    let text = lines(&[(Q, b"GET / HTTP/1.1\r\n\r\n"), (A, &answer)], 1400);
    assert!(text.contains(&format!("{MAX_DECODED} ")), "{text}");
    assert!(text.ends_with("(decoded body longer than the limit)\n"), "{text}");
}

/// Stored blocks without a byte (RFC 1951, 3.2.4), which shrink to a thousandth: what is coded is long, and nothing comes out.
#[test]
fn a_bomb_within_the_codings_stops_at_the_limit() {
    let blocks = gzip(&[0, 0, 0, 0xff, 0xff].repeat(1 << 22));
    let bomb = [gzip(b"\x1f\x8b\x08\0\0\0\0\0\0\x03"), blocks.repeat(20)].concat();
    let answer = response(&format!("Content-Encoding: gzip, gzip\r\nContent-Length: {}", bomb.len()), &bomb);
    let text = lines(&[(Q, b"GET / HTTP/1.1\r\n\r\n"), (A, &answer)], 1400);
    assert!(text.contains(&format!("[{} 0 ", bomb.len())), "{text}");
    assert!(text.ends_with("(decoded body longer than the limit)\n"), "{text}");
}

#[test]
fn smuggling_shapes_say_so() {
    let cases: [(&[u8], &str); 6] = [
        (
            b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "both Transfer-Encoding and Content-Length",
        ),
        (b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc", "several Content-Lengths that differ"),
        (b"Content-Length: 3, 5\r\n\r\nabc", "several Content-Lengths that differ"),
        (b"Content-Length: +3\r\n\r\n", "Content-Length is no number"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "bad chunk size"),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "no line end behind a chunk"),
    ];
    for (fields, fault) in cases {
        let request = [b"POST /s HTTP/1.1\r\n", fields].concat();
        let text = same(&[(Q, &request), (A, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]);
        assert!(text.starts_with("1: POST /s 1.1"), "{text}");
        assert!(text.ends_with(&format!("({fault})\n")), "{text}");
    }
}

#[test]
fn equal_lengths_twice_are_one_length() {
    let answer = response("Content-Length: 3\r\nContent-Length: 3", b"abc");
    assert_eq!(same(&[(Q, b"GET / HTTP/1.1\r\n\r\n"), (A, &answer)]), "1: GET / 1.1 200 OK [3 3 ba78]\n");
}

#[test]
fn a_megabyte_of_header_is_a_row_with_its_reason() {
    let request = [b"GET /long HTTP/1.1\r\nX: ".as_slice(), &vec![b'a'; 1 << 20], b"\r\n\r\n"].concat();
    let mut conversation = Conversation::default();
    for piece in request.chunks(1000) {
        conversation.piece(Q, Piece::Data(piece, Place::default()), &mut Hashed(true));
    }
    assert!(conversation.sides_held() <= 2 * message::MAX_HEAD);
    conversation.finish(&mut Hashed(true));
    let text: String = conversation.take_done().map(|one| line(&one)).collect();
    assert_eq!(text, "1: GET /long 1.1 - (head longer than 262144 bytes)\n");
}

#[test]
fn a_tunnel_hands_the_rest_over() {
    let mut conversation = Conversation::default();
    let place = Place::default();
    conversation.piece(Q, Piece::Data(b"CONNECT h:443 HTTP/1.1\r\n\r\n", place), &mut Hashed(true));
    let rest = conversation.piece(A, Piece::Data(b"HTTP/1.1 200 Go\r\n\r\nREST", place), &mut Hashed(true));
    assert_eq!(rest, b"REST");
    assert_eq!(conversation.switched(), Some(Next::Tunnel));
    assert_eq!(conversation.piece(Q, Piece::Data(b"more", place), &mut Hashed(true)), b"more");
    let text: String = conversation.take_done().map(|one| line(&one)).collect();
    assert_eq!(text, "1: CONNECT h:443 1.1 200 Go\n");
}

#[test]
fn missing_bytes_are_listed_where_they_are() {
    let place = Place::default();
    let mut conversation = Conversation::default();
    let mut bodies = Hashed(true);
    conversation.piece(Q, Piece::Data(b"GET / HTTP/1.1\r\n\r\n", place), &mut bodies);
    conversation.piece(A, Piece::Data(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", place), &mut bodies);
    conversation.piece(A, Piece::Gap(3, place), &mut bodies);
    conversation.piece(A, Piece::Data(b"f", place), &mut bodies);
    conversation.piece(A, Piece::Gap(3, place), &mut bodies);
    let done: Vec<Exchange> = conversation.take_done().map(|one| *one).collect();
    let response = done[0].response.as_ref().unwrap();
    assert_eq!((response.body.len, response.body.missing.as_slice()), (9, [(2, 5), (6, 9)].as_slice()));
    assert_eq!(done[0].fault(), Some("bytes are missing"));
}

#[test]
fn a_response_whose_request_was_not_captured_stays_alone() {
    let steps: [(Side, &[u8]); 3] = [
        (A, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        (Q, b"GET /2 HTTP/1.1\r\n\r\n"),
        (A, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
    ];
    assert_eq!(same(&steps), "1: - 200 OK [3 3 ba78] (no request)\n2: GET /2 1.1 404 No\n");
}

#[test]
fn lines_of_white_space_do_not_end_a_head() {
    let head = b"POST /1 HTTP/1.1\r\n \r\n\tHost: no\r\nHost: x\r\n \r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(head::parse(head).unwrap().host.as_deref(), Some("x"));
    let next = b"GET /2 HTTP/1.1\r\n\r\n";
    let empty = response("Content-Length: 0", b"");
    let steps: [(Side, &[u8]); 4] = [(Q, head), (A, &empty), (Q, next), (A, &empty)];
    assert_eq!(same(&steps), "1: POST /1 1.1 [3 3 ba78] 200 OK\n2: GET /2 1.1 200 OK\n");
}

#[test]
fn a_request_line_is_known_by_its_form_if_not_by_its_method() {
    for method in ["RPC_IN_DATA", "BITS_POST", "QUERY", "FOO", "M-POST", "GETS"] {
        let line = format!("{method} /up HTTP/1.1\r\nHost: x\r\n");
        assert_eq!(head::looks(line.as_bytes()), head::Looks::Request, "{method}");
    }
    let others = [
        "INVITE sip:a@b SIP/2.0\r\n",
        "DESCRIBE rtsp://a RTSP/1.0\r\n",
        "FOO /a b HTTP/1.1\r\n",
        "FOO  HTTP/1.1\r\n",
        "FOO: /a HTTP/1.1\r\n",
        "FOO /a HTTP/2.0\r\n",
        "FOO /a HTTP/2",
        "FOO a",
        "USER anonymous with a long name\r\n",
    ];
    for line in others {
        assert_eq!(head::looks(line.as_bytes()), head::Looks::No, "{line}");
    }
    for begun in ["FOO /", "FOO /a HTT", "FOO /a HTTP/1.1\r", "FOO http://x", "BITS_POST /up"] {
        assert_eq!(head::looks(begun.as_bytes()), head::Looks::Perhaps, "{begun}");
    }
}

#[test]
fn empty_lines_before_the_first_request_are_passed_over() {
    let request: &[u8] = b"\r\n\r\n\nGET /1 HTTP/1.1\r\n\r\n";
    let start = request.len() - b"GET /1 HTTP/1.1\r\n\r\n".len();
    for end in 0..request.len() {
        let looks = head::looks(&request[..end]);
        let is_known = end >= start + b"GET /".len();
        assert_eq!(looks, if is_known { head::Looks::Request } else { head::Looks::Perhaps }, "{end} bytes");
    }
    assert_eq!(same(&[(Q, request), (A, &response("Content-Length: 0", b""))]), "1: GET /1 1.1 200 OK\n");
}

#[test]
fn folded_fields_are_one_line() {
    let head = head::parse(b"GET / HTTP/1.1\r\nUser-Agent: a\r\n  b\r\n\tc\r\nHost:x\r\n\r\n").unwrap();
    assert_eq!((head.user_agent.as_deref(), head.host.as_deref()), (Some("a b c"), Some("x")));
}

#[test]
fn a_field_is_known_by_its_name_however_that_is_written() {
    for name in ["Host", "host", "HOST", "Host ", "hOst\t"] {
        let head =
            head::parse(format!("GET / HTTP/1.1\r\n{name}:\tx \r\nHosts: y\r\nHos: z\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(head.host.as_deref(), Some("x"), "{name:?}");
    }
    let head = head::parse(b"GET / HTTP/1.1\nContent-length : 5\nContent-Types: a\nCONTENT-TYPE:b\nReferer\n").unwrap();
    assert_eq!(head.length, head::Length::Bytes(5));
    assert_eq!((head.content_type.as_deref(), head.referrer.as_deref()), (Some("b"), None));
}

proptest::proptest! {
    #[test]
    fn a_head_at_the_start_of_more_is_that_head(
        line in "(GET /a HTTP/1\\.[01]|HTTP/1\\.1 200 OK|no)",
        lines in proptest::collection::vec("(|\r| | \r|Host: a|Host : b\r|Content-Length: 5\r|\tc\r|: )", 0..8),
    ) {
        let bytes = [line, lines.join("\n")].join("\n").into_bytes();
        for end in 0..=bytes.len() {
            let bytes = &bytes[..end];
            let expected = head::end(bytes, 0).map(|end| (head::parse(&bytes[..end]), end));
            proptest::prop_assert_eq!(head::parse_start(bytes), expected);
        }
    }
}
