//! What single messages say.

use super::*;

fn v4(options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..4].copy_from_slice(&[2, 1, 6, 0]);
    bytes[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
    bytes[16..20].copy_from_slice(&[192, 0, 2, 9]);
    bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    [bytes, COOKIE.to_vec(), options.to_vec()].concat()
}

#[test]
fn a_lease() {
    let options = b"\x35\x01\x05\x03\x08\xc0\0\x02\x01\xc0\0\x02\x02\0\x33\x04\0\0\x0e\x10\x36\x04\xc0\0\x02\x01\x0c\x05host\0\x0f\x03lan\xff\x01";
    let message = Message::parse_v4(&v4(options), false).unwrap();
    assert_eq!((message.kind_name(), message.xid), (Some("ACK"), Some(0xdead_beef)));
    assert_eq!(message.assigned_addr, Some("192.0.2.9".parse().unwrap()));
    assert_eq!(message.server_addr, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(message.client_mac, Some([2, 0, 0, 0, 0, 1]));
    assert_eq!((message.host_name.as_deref(), message.domain.as_deref()), (Some("host"), Some("lan")));
    assert_eq!((message.lease_time, message.fault), (Some(3600), None));
    assert_eq!(message.routers, [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)]);
}

#[test]
fn options_in_the_fields_for_names() {
    let mut bytes = v4(b"\x34\x01\x03\x35\x01\x05\xff");
    bytes[108..119].copy_from_slice(b"\x33\x04\0\0\x0e\x10\x0f\x02la\xff");
    bytes[44..51].copy_from_slice(b"\x0c\x04host\xff");
    let message = Message::parse_v4(&bytes, false).unwrap();
    assert_eq!((message.kind_name(), message.lease_time), (Some("ACK"), Some(3600)));
    assert_eq!((message.domain.as_deref(), message.host_name.as_deref()), (Some("la"), Some("host")));
    assert_eq!(message.fault, None);
    bytes[242] = 2; // `sname` alone
    let message = Message::parse_v4(&bytes, false).unwrap();
    assert_eq!((message.domain, message.host_name.as_deref()), (None, Some("host")));
}

#[test]
fn an_option_that_lies() {
    let message = Message::parse_v4(&v4(b"\x35\x01\x01\x0c\xffhost"), false).unwrap();
    assert_eq!((message.kind, message.fault), (1, Some("option longer than the message")));
}

#[test]
fn a_relayed_reply() {
    let address = [[0x20, 1, 0xd, 0xb8].as_slice(), &[0; 11], &[5], &[0, 0, 0, 1, 0, 0, 0, 2]].concat();
    let association = [[0; 12].as_slice(), &[0, 5, 0, 24], &address].concat();
    let inner = [
        b"\x07\0\x12\x34\0\x01\0\x0a\0\x03\0\x01\x02\0\0\0\0\x01".as_slice(),
        &[0, 3, 0, association.len() as u8],
        &association,
        b"\0\x27\0\x07\0\x04host\0",
    ]
    .concat();
    let relayed = [[13, 0].as_slice(), &[0xfe; 32], &[0, 9, 0, inner.len() as u8], &inner].concat();
    let message = Message::parse_v6(&relayed).unwrap();
    assert_eq!((message.kind_name(), message.xid), (Some("REPLY"), Some(0x1234)));
    assert_eq!(message.assigned_addr, Some("2001:db8::5".parse().unwrap()));
    assert_eq!((message.lease_time, message.host_name.as_deref()), (Some(2), Some("host")));
    assert_eq!(message.client_mac, Some([2, 0, 0, 0, 0, 1]));
    for end in 0..relayed.len() {
        let _ = Message::parse_v6(&relayed[..end]);
    }
}

#[test]
fn a_split_option_is_one() {
    // RFC 3396, 5 and 7: over the options, `file` and `sname`, other options between.
    let mut bytes = v4(b"\x34\x01\x03\x35\x01\x05\x0c\x02ab\x3c\x01x\x0c\x01c\x3d\x02\x01a\x3d\x01b\xff");
    bytes[108..113].copy_from_slice(b"\x0c\x02de\xff");
    bytes[44..48].copy_from_slice(b"\x0c\x01f\xff");
    let message = Message::parse_v4(&bytes, false).unwrap();
    assert_eq!((message.kind, message.host_name.as_deref()), (5, Some("abcdef")));
    assert_eq!((message.vendor_class.as_deref(), message.client_id.as_deref()), (Some("x"), Some(&b"\x01ab"[..])));
}

#[test]
fn padding_is_no_option() {
    let options = [b"\x35\x01\x01".as_slice(), &[0; 1100], b"\x0c\x04pads\xff"].concat();
    let message = Message::parse_v4(&v4(&options), false).unwrap();
    assert_eq!((message.host_name.as_deref(), message.fault), (Some("pads"), None));
}

#[test]
fn a_name_without_letters_leaves_the_full_one() {
    let message = Message::parse_v4(&v4(b"\x35\x01\x01\x51\x06\0\0\0abc\x0c\0\xff"), false).unwrap();
    assert_eq!(message.host_name.as_deref(), Some("abc"));
    let message = Message::parse_v4(&v4(b"\x35\x01\x01\x51\x06\0\0\0abc\x0c\x01x\xff"), false).unwrap();
    assert_eq!(message.host_name.as_deref(), Some("x"));
}

#[test]
fn a_message_cut_by_the_snap_length_has_its_client() {
    let whole = v4(b"\x35\x01\x05\xff");
    for end in [34, 100, 235] {
        let message = Message::parse_v4(&whole[..end], true).unwrap();
        assert_eq!((message.client_mac, message.kind_name()), (Some([2, 0, 0, 0, 0, 1]), None));
        assert!(Message::parse_v4(&whole[..end], false).is_none());
    }
    assert!(Message::parse_v4(&whole[..33], true).is_none());
}

#[test]
fn every_type_has_its_name() {
    let named = |version, kind| Message { version, kind, ..Message::default() }.kind_name();
    assert_eq!(
        [8, 9, 13, 18, 19].map(|kind| named(4, kind)).map(Option::unwrap_or_default),
        ["INFORM", "FORCERENEW", "LEASEACTIVE", "TLS", ""]
    );
    let query = Message::parse_v6(b"\x0e\0\0\x01").unwrap();
    assert_eq!((query.kind_name(), query.xid), (Some("LEASEQUERY"), Some(1)));
    assert_eq!(
        [13, 19, 20, 37, 38].map(|kind| named(6, kind)).map(Option::unwrap_or_default),
        ["RELAY-REPL", "RECONFIGURE-REPLY", "DHCPV4-QUERY", "ADDR-REG-REPLY", ""]
    );
}

fn option6(code: u8, data: &[u8]) -> Vec<u8> {
    [&[0, code, 0, data.len() as u8][..], data].concat()
}

#[test]
fn a_relay_tells_where_it_heard_the_client() {
    let duid = option6(1, b"\0\x03\0\x01\x02\0\0\0\0\x01");
    let asks = [b"\x01\0\0\x01".as_slice(), &duid].concat();
    let forward = |link: u8, more: &[u8], inner: &[u8]| {
        [&[12, 0][..], &[link; 16], &[0xfe; 16], more, &option6(9, inner)].concat()
    };
    // A switch that relays (RFC 6221) has no address on the link; the relay behind it does.
    let heard = option6(79, &[0, 1, 2, 0, 0, 0, 0, 0x22]);
    let message = Message::parse_v6(&forward(0x20, &[], &forward(0, &heard, &asks))).unwrap();
    assert_eq!(message.relayed_mac, Some([2, 0, 0, 0, 0, 0x22]));
    assert_eq!(message.relay_addr, Some(IpAddr::from([0x20; 16])));
    assert_eq!(Message::parse_v6(&forward(0, &[], &asks)).unwrap().relay_addr, None);
}

#[test]
fn of_several_addresses_the_first_valid_one_counts() {
    let address = |last: u8, valid: u8| option6(5, &[&[0xfd; 15][..], &[last, 0, 0, 0, 0, 0, 0, 0, valid]].concat());
    let association = |addresses: &[u8]| option6(3, &[&[0; 12][..], addresses].concat());
    let given = |options: &[u8]| {
        let message = Message::parse_v6(&[b"\x07\0\0\x01", options].concat()).unwrap();
        let last = message.assigned_addr.map(|addr| if let IpAddr::V6(v6) = addr { v6.octets()[15] } else { 0 });
        (last, message.lease_time)
    };
    assert_eq!(given(&[association(&address(1, 9)), association(&address(2, 5))].concat()), (Some(1), Some(9)));
    assert_eq!(given(&association(&[address(1, 0), address(2, 5)].concat())), (Some(2), Some(5)));
    assert_eq!(given(&association(&address(1, 0))), (Some(1), Some(0)));
}

#[test]
fn vendor_classes_of_ipv6_stand_behind_their_lengths() {
    let classes = option6(16, b"\0\0\x01\x37\0\x03abc\0\x02de");
    let message = Message::parse_v6(&[b"\x01\0\0\x01", &classes[..]].concat()).unwrap();
    assert_eq!(message.vendor_class.as_deref(), Some("abc, de"));
}

#[test]
fn options_of_wrong_lengths() {
    for options in
        [&b"\x35\0"[..], b"\x33\x02\0\x01", b"\x32\x03\xc0\0\x02", b"\x36\x05\xc0\0\x02\x01\0", b"\x03\x02\xc0\0"]
    {
        let message = Message::parse_v4(&v4(&[options, &[255]].concat()), false).unwrap();
        assert_eq!(message.fault, Some(WRONG), "{options:?}");
        assert_eq!((message.kind, message.lease_time, message.requested_addr), (0, None, None));
    }
    let cut = Message::parse_v4(&v4(b"\x35\x01\x03\x51\x06\x04\0\0\x09ab\xff"), false).unwrap();
    assert_eq!((cut.fault, cut.host_name), (Some("name cut short"), None));
}

#[test]
fn options_of_ipv6_that_do_not_fit() {
    let fault = |options: &[u8]| Message::parse_v6(&[b"\x07\0\0\x01", options].concat()).unwrap().fault;
    let address = option6(5, &[[0xfd; 16].as_slice(), &[0, 0, 0, 9, 0, 0, 0, 9]].concat());
    let association = |inner: &[u8]| option6(3, &[&[0; 12], inner].concat());
    assert_eq!(fault(&association(&address)), None);
    assert_eq!(fault(&association(&address[..24])), Some(LONG));
    assert_eq!(fault(&association(&option6(5, &[0xfd; 20]))), Some(WRONG));
    assert_eq!(fault(&association(&option6(5, &[&[0xfd; 24][..], b"\0\x0d\0"].concat()))), Some(LONG));
    for (code, short) in [(1, 0), (3, 4), (4, 3), (16, 2), (39, 0)] {
        assert_eq!(fault(&option6(code, &vec![0; short])), Some(WRONG), "{code}");
    }
    assert_eq!(fault(&option6(39, b"\0\x09host")), Some("name cut short"));
    assert_eq!(fault(&option6(24, b"\xc0\x0c")), Some("name with an unknown label"));
    assert_eq!(fault(&option6(16, b"\0\0\0\x09\0\x05ab")), Some(WRONG));
    assert_eq!(fault(b"\0\x12\0\x40a"), Some(LONG));
}

#[test]
fn relays_are_read_to_their_end() {
    let forward = |options: &[u8]| [&[12, 0][..], &[0x20; 32], options].concat();
    let read = |bytes: &[u8]| {
        let message = Message::parse_v6(bytes).unwrap();
        (message.kind_name(), message.xid, message.fault)
    };
    let inner = option6(9, b"\x01\0\0\x07");
    assert_eq!(read(&forward(&inner)), (Some("SOLICIT"), Some(7), None));
    assert_eq!(read(&forward(&[&inner[..], b"\0\x12\0\x40a"].concat())), (Some("SOLICIT"), Some(7), Some(LONG)));
    assert_eq!(read(&forward(&inner[..6])), (Some("RELAY-FORW"), None, Some(LONG)));
    for nothing in [&b""[..], &option6(9, b""), &option6(9, b"\xff\0\0\x07")] {
        assert_eq!(read(&forward(nothing)), (Some("RELAY-FORW"), None, Some("relay without a message")));
    }
    let nested = |count: usize| {
        (0..count).fold(b"\x01\0\0\x07".to_vec(), |inner, _| {
            let len = (inner.len() as u16).to_be_bytes();
            forward(&[&[0, 9][..], &len, &inner].concat())
        })
    };
    assert_eq!(read(&nested(9)), (Some("SOLICIT"), Some(7), None));
    assert_eq!(read(&nested(33)).2, None);
    assert_eq!(read(&nested(34)), (Some("RELAY-FORW"), None, Some("too many relays")));
}

#[test]
fn later_types_of_ipv6() {
    let read = |bytes: &[u8]| {
        let message = Message::parse_v6(bytes).unwrap();
        (message.kind_name().unwrap(), message.xid, message.client_addr, message.fault)
    };
    // RFC 7341, 6: flags where others have the number.
    assert_eq!(read(&[&[20, 0x80, 0, 0][..], &option6(87, &[0; 240])].concat()), ("DHCPV4-QUERY", None, None, None));
    assert_eq!(read(b"\x16\0\0\x09"), ("ACTIVELEASEQUERY", Some(9), None, None));
    // RFC 8156, 5.2: the time in front of the options.
    assert_eq!(
        read(&[&b"\x18\0\0\x09\0\0\0\x01"[..], &option6(13, b"\0\0")].concat()),
        ("BNDUPD", Some(9), None, None)
    );
    let registers = option6(5, &[&[0xfd; 16][..], &[0; 8]].concat());
    let own = Some(IpAddr::from([0xfd; 16]));
    assert_eq!(read(&[&b"\x24\0\0\x09"[..], &registers].concat()), ("ADDR-REG-INFORM", Some(9), own, None));
    assert!(Message::parse_v6(b"\x26\0\0\x09").is_none());
}
