//! Frames made here, and the layers, lengths and faults that are read of them.

use sniffkit_core::decode::{Proto, decode};
use sniffkit_core::frame::LinkType;
use sniffkit_core::packet::{NONE, Packet};
use sniffkit_core::track::key::{ARP, of_packet, quoted};

/// What one frame was decoded to.
fn of(link_type: u32, frame: &[u8], frame_len: usize) -> Packet {
    let mut packet = Packet::default();
    decode(frame, frame_len as u32, LinkType(link_type), &mut packet);
    packet
}

/// Its stack, and what is wrong with it.
fn stack(packet: &Packet) -> (String, Option<String>) {
    let names: Vec<_> = packet.layers().iter().map(|layer| layer.proto().name()).collect();
    (names.join(":"), packet.malformed.as_ref().map(ToString::to_string))
}

fn whole(link_type: u32, frame: &[u8]) -> (String, Option<String>) {
    stack(&of(link_type, frame, frame.len()))
}

const SOUND: Option<String> = None;
const ETHERNET: u32 = 1;
const RAW: u32 = 101;

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn eth(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &kind.to_be_bytes(), payload])
}

/// An IPv4 packet whose total length is `claimed`.
fn ip_claiming(claimed: usize, proto: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (claimed as u16).to_be_bytes();
    join(&[&[0x45, 0, high, low, 0, 7, 0, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], payload])
}

fn ip(proto: u8, payload: &[u8]) -> Vec<u8> {
    ip_claiming(20 + payload.len(), proto, payload)
}

/// An IPv6 packet whose payload length is `claimed`.
fn ipv6_claiming(claimed: usize, next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (claimed as u16).to_be_bytes();
    join(&[&[0x60, 0, 0, 0, high, low, next, 64], &[0xfd; 32], payload])
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    join(&[&[0x9c, 0x40], &port.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload])
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    join(&[&[0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0], payload])
}

/// Destination unreachable.
fn unreachable(quote: &[u8]) -> Vec<u8> {
    ip(1, &join(&[&[3, 1, 0, 0, 0, 0, 0, 0], quote]))
}

/// RFC 2684, 5.2.
#[test]
fn bridged_frames_stand_behind_their_padding() {
    let inner = eth(0x0800, &ip(17, &udp(9, b"abc")));
    for identifier in [1, 7] {
        let llc = join(&[&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, identifier, 0, 0], &inner]);
        let packet = of(100, &llc, llc.len());
        assert_eq!(stack(&packet), ("llc:eth:ip:udp:data".into(), SOUND));
        assert_eq!((packet.eth, packet.payload_len), (10, 3));
        assert_eq!(whole(ETHERNET, &eth(llc.len() as u16, &llc)), ("eth:llc:eth:ip:udp:data".into(), SOUND));
        assert_eq!(whole(100, &llc[..9]).1.as_deref(), Some("llc@0: need 2 have 1"));
    }
    let bridge = join(&[&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 0x0e], &[0; 35]]);
    assert_eq!(whole(100, &bridge), ("llc:stp".into(), SOUND));
}

/// RFC 792: the IP header and 8 bytes; RFC 1812, 4.3.2.3: as many as fit.
#[test]
fn a_quote_may_end_anywhere_behind_its_ip_header() {
    let quoted = ip(6, &tcp(b"hello"));
    for (len, layers) in
        [(20, "ip:icmp:ip"), (22, "ip:icmp:ip:tcp"), (28, "ip:icmp:ip:tcp"), (45, "ip:icmp:ip:tcp:data")]
    {
        assert_eq!(whole(RAW, &unreachable(&quoted[..len])), (format!("raw:{layers}"), SOUND), "{len}");
    }
    let vxlan = ip(17, &udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &eth(0x0800, &quoted)])));
    for (len, layers) in
        [(28, "udp"), (30, "udp:vxlan"), (36, "udp:vxlan"), (40, "udp:vxlan:eth"), (60, "udp:vxlan:eth:ip")]
    {
        assert_eq!(whole(RAW, &unreachable(&vxlan[..len])), (format!("raw:ip:icmp:ip:{layers}"), SOUND), "{len}");
    }
    let gtp = ip(17, &udp(2152, &[0x34, 255, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0]));
    assert_eq!(whole(RAW, &unreachable(&gtp[..36])), ("raw:ip:icmp:ip:udp:gtp".into(), SOUND));
    // Damage is none the less: an IP header in part, a TCP header that says it is shorter than it can be, a snap length.
    assert_eq!(whole(RAW, &unreachable(&quoted[..12])).1.as_deref(), Some("ip@28: need 20 have 12"));
    let mut wrong = quoted.clone();
    wrong[32] = 0x40;
    assert_eq!(whole(RAW, &unreachable(&wrong)).1.as_deref(), Some("tcp@48: data offset under 5"));
    let frame = unreachable(&quoted);
    let cut = of(RAW, &frame[..56], frame.len());
    assert_eq!(stack(&cut).1.as_deref(), Some("tcp@48: need 20 have 8 (cut by snap length)"));
}

#[test]
fn a_quote_that_ends_in_a_deep_stack_ends_it() {
    // With so many tags that the layer which the quote has nothing of stands in the packet, or first or later on the heap.
    for depth in 10..24 {
        let tags = [0x81, 0, 0, 1].repeat(depth - 1);
        let frame = join(&[&eth(0x8100, &[0, 1]), &tags, &[8, 0], &unreachable(&ip(6, &tcp(b""))[..20])]);
        let packet = of(ETHERNET, &frame, frame.len());
        assert_eq!(stack(&packet), (format!("eth{}:ip:icmp:ip", ":vlan".repeat(depth)), SOUND));
        assert_eq!(packet.last_proto().map(|last| last.name()), Some("ip"));
    }
}

/// draft-foschiano-erspan-03, 4.2: frame type 2 is IP.
#[test]
fn erspan_says_what_it_mirrors() {
    let mirrored = |frame_type: u8, inner: &[u8]| {
        let header = [0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0x80 | frame_type << 2, 0];
        whole(RAW, &ip(47, &join(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &header, inner])))
    };
    let inner = ip(17, &udp(9, b"abc"));
    assert_eq!(mirrored(2, &inner), ("raw:ip:gre:erspan:ip:udp:data".into(), SOUND));
    assert_eq!(mirrored(2, &ipv6_claiming(0, 59, b"")), ("raw:ip:gre:erspan:ipv6".into(), SOUND));
    assert_eq!(mirrored(2, b"?"), ("raw:ip:gre:erspan:data".into(), SOUND));
    assert_eq!(mirrored(3, &inner), ("raw:ip:gre:erspan:data".into(), SOUND));
    assert_eq!(mirrored(0, &eth(0x0800, &inner)), ("raw:ip:gre:erspan:eth:ip:udp:data".into(), SOUND));
}

/// RFC 1547, 4.3.1: unicast and broadcast addresses.
#[test]
fn cisco_framing_on_a_ppp_link() {
    let inner = ip(17, &udp(9, b"abc"));
    for address in [0x0f, 0x8f] {
        let frame = join(&[&[address, 0, 8, 0], &inner]);
        assert_eq!(whole(50, &frame), ("ppp:chdlc:ip:udp:data".into(), SOUND));
    }
    assert_eq!(whole(50, &join(&[&[0xff, 3, 0, 0x21], &inner])), ("ppp:ip:udp:data".into(), SOUND));
    assert_eq!(whole(50, &join(&[&[0x21], &inner])), ("ppp:ip:udp:data".into(), SOUND));
}

/// RFC 8200, 3 and 4.7: padding of the link is no payload; RFC 2675, 3: 0 is a jumbogram's.
#[test]
fn an_ipv6_payload_length_of_zero() {
    let len = |next, payload: &[u8]| {
        let frame = eth(0x86dd, &ipv6_claiming(0, next, payload));
        let packet = of(ETHERNET, &frame, frame.len());
        (stack(&packet), packet.payload_len, packet.ip_len)
    };
    assert_eq!(len(59, &[0; 6]), (("eth:ipv6".into(), SOUND), 0, 40));
    assert_eq!(len(58, &[128, 0, 0, 0, 0, 0, 0, 0]).0.1.as_deref(), Some("icmpv6@54: need 4 have 0"));
    assert_eq!(len(6, &tcp(b"hello")), (("eth:ipv6:tcp:data".into(), SOUND), 5, 65));
    assert_eq!(len(17, &udp(9, b"hello")), (("eth:ipv6:udp:data".into(), SOUND), 5, 53));
    let jumbo = |carried: usize| {
        let length = (8 + 20 + carried) as u32;
        join(&[&[6, 0, 0xc2, 4], &length.to_be_bytes(), &tcp(&vec![b'x'; carried])])
    };
    let long = len(0, &jumbo(70_000));
    assert_eq!(long, (("eth:ipv6:ipv6.hopopts:tcp:data".into(), SOUND), 70_000, 70_068));
    // One that the frame has not all of: options padded in front.
    let claimed = join(&[&[17, 1, 0x1e, 1, 0, 0, 0xc2, 4, 0, 1, 0, 0, 0, 0, 0, 0], &udp(9, b"hello")]);
    assert_eq!(len(0, &claimed), (("eth:ipv6:ipv6.hopopts:udp:data".into(), SOUND), 5, 69));
    assert_eq!(len(0, &jumbo(100)).0.1.as_deref(), Some("ipv6.hopopts@54: need 8 have 0"));
}

/// RFC 768: 8 at least; 0 is what receivers in IPv6 do not measure (RFC 2675, 4), and what longer than the field can say.
#[test]
fn a_udp_length_of_zero() {
    let unmeasured = |carried: usize| {
        let mut datagram = udp(9, &vec![b'x'; carried]);
        datagram[4..6].fill(0);
        datagram
    };
    let len = |frame: &[u8]| {
        let packet = of(RAW, frame, frame.len());
        (packet.malformed.as_ref().map(ToString::to_string), packet.payload_len)
    };
    assert_eq!(len(&ip(17, &unmeasured(5))), (Some("udp@20: length under 8".into()), 0));
    assert_eq!(len(&ip_claiming(0, 17, &unmeasured(65_527))), (Some("udp@20: length under 8".into()), 0));
    assert_eq!(len(&ip_claiming(0, 17, &unmeasured(65_528))), (SOUND, 65_528));
    assert_eq!(len(&ipv6_claiming(13, 17, &unmeasured(5))), (SOUND, 5));
    assert_eq!(len(&ipv6_claiming(0, 17, &unmeasured(70_000))), (SOUND, 70_000));
}

#[test]
fn lengths_are_of_the_wire_whatever_headers_claim() {
    let datagram = udp(9, b"hello");
    let lengths = |frame: &[u8]| {
        let packet = of(RAW, frame, frame.len());
        (packet.payload_len, packet.ip_len as usize)
    };
    for (proto, payload_len) in [(253, 13), (17, 5)] {
        assert_eq!(lengths(&ip_claiming(1500, proto, &datagram)), (payload_len, 33));
        assert_eq!(lengths(&ipv6_claiming(1500, proto, &datagram)), (payload_len, 53));
    }
    let options = join(&[&[253, 0, 1, 4, 0, 0, 0, 0], &datagram]);
    assert_eq!(lengths(&ipv6_claiming(1500, 0, &options)), (13, 61));
    let mut fragment = ip_claiming(1500, 17, &datagram);
    fragment[7] = 10;
    assert_eq!(lengths(&fragment), (13, 33));
    // What the snap length cut was on the wire.
    let cut = of(RAW, &ip_claiming(1500, 17, &datagram), 1500);
    assert_eq!((cut.payload_len, cut.ip_len), (5, 1500));
    let cut = of(RAW, &ip_claiming(1500, 253, &datagram), 1500);
    assert_eq!((cut.payload_len, cut.ip_len), (1480, 1500));
}

/// Where what follows is told by its first bytes alone, a frame cut in front of them does not say it.
#[test]
fn a_snap_length_that_cuts_what_would_tell() {
    let cut = |frame: &[u8], len: usize| stack(&of(ETHERNET, &frame[..len], frame.len()));
    let inner = ip(17, &udp(9, b"abc"));
    let mpls = eth(0x8847, &join(&[&[0, 1, 1, 64], &inner]));
    assert_eq!(cut(&mpls, 18), ("eth:mpls".into(), Some("mpls@14: need 1 have 0 (cut by snap length)".into())));
    assert_eq!(cut(&mpls, mpls.len()), ("eth:mpls:ip:udp:data".into(), SOUND));
    let gtp = join(&[&[0x30, 255, 0, inner.len() as u8, 0, 0, 0, 1], &inner]);
    let gtp = eth(0x0800, &ip(17, &udp(2152, &gtp)));
    assert_eq!(cut(&gtp, 50), ("eth:ip:udp:gtp".into(), Some("gtp@42: need 1 have 0 (cut by snap length)".into())));
    let teredo = join(&[&[0; 8], &ipv6_claiming(0, 59, b"")]);
    let teredo = eth(0x0800, &ip(17, &udp(3544, &teredo)));
    for (len, why) in [(43, "need 2 have 1"), (50, "need 1 have 0")] {
        let why = format!("teredo@42: {why} (cut by snap length)");
        assert_eq!(cut(&teredo, len), ("eth:ip:udp:teredo".into(), Some(why)));
    }
    let error = eth(0x0800, &unreachable(&inner));
    let why = "ip@42: need 20 have 0 (cut by snap length)";
    assert_eq!(cut(&error, 42), ("eth:ip:icmp:ip".into(), Some(why.into())));
    assert_eq!(whole(ETHERNET, &eth(0x0800, &unreachable(b""))), ("eth:ip:icmp".into(), SOUND));
    let exchange = eth(0x0800, &ip(17, &udp(4500, &[0; 20])));
    for have in 0..4 {
        let why = format!("udpencap@42: need 4 have {have} (cut by snap length)");
        assert_eq!(cut(&exchange, 42 + have), ("eth:ip:udp:udpencap".into(), Some(why)));
    }
    assert_eq!(cut(&exchange, 46), ("eth:ip:udp:udpencap:data".into(), SOUND));
    assert_eq!(cut(&eth(0x0800, &ip(17, &udp(4500, &[0, 1, 2, 3]))), 44).0, "eth:ip:udp:udpencap:esp");
    assert_eq!(whole(ETHERNET, &eth(0x0800, &ip(17, &udp(4500, &[0xff])))), ("eth:ip:udp:udpencap".into(), SOUND));
}

/// RFC 3931, 4.1.1.
#[test]
fn l2tp_over_ip() {
    assert_eq!(
        whole(RAW, &ip(115, &[0, 0, 0, 0, 0xc8, 3, 0, 12, 0, 0, 0, 9, 0, 0, 0, 0])),
        ("raw:ip:l2tp".into(), SOUND)
    );
    assert_eq!(whole(RAW, &ip(115, &[0, 0, 0, 5, 1, 2, 3])), ("raw:ip:l2tp:data".into(), SOUND));
    assert_eq!(whole(RAW, &ipv6_claiming(7, 115, &[0, 0, 0, 5, 1, 2, 3])), ("raw:ipv6:l2tp:data".into(), SOUND));
    assert_eq!(whole(RAW, &ip(115, &[0, 0])).1.as_deref(), Some("l2tp@20: need 4 have 2"));
    assert_eq!(whole(RAW, &ip(115, b"")), ("raw:ip".into(), SOUND));
}

/// RFC 6946.
#[test]
fn an_atomic_fragment_has_its_header() {
    let has = |next: u8, payload: &[u8]| {
        let packet = of(RAW, &ipv6_claiming(payload.len(), next, payload), 40 + payload.len());
        (packet.has_fragment_header(), packet.is_fragment, packet.ip_id)
    };
    let datagram = udp(9, b"x");
    let atomic = join(&[&[17, 0, 0, 0, 0, 0, 0, 7], &datagram]);
    let options = join(&[&[44, 0, 1, 4, 0, 0, 0, 0], &atomic]);
    assert_eq!(has(44, &atomic), (true, false, 7));
    assert_eq!(has(60, &options), (true, false, 7));
    assert_eq!(has(17, &datagram), (false, false, 0));
    assert_eq!(has(60, &join(&[&[17, 0, 1, 4, 0, 0, 0, 0], &datagram])), (false, false, 0));
    // In a tunnel, and quoted, it is another packet's.
    assert!(!has(44, &join(&[&[41, 0, 0, 0, 0, 0, 0, 7], &ipv6_claiming(datagram.len(), 17, &datagram)])).0);
    assert!(!has(58, &join(&[&[1, 0, 0, 0, 0, 0, 0, 0], &ipv6_claiming(atomic.len(), 44, &atomic)])).0);
}

#[test]
fn netlink_families_have_wiresharks_names() {
    for (family, name) in [(0, "netlink-route"), (4, "netlink-sock_diag"), (12, "netlink-netfilter"), (16, "genl")] {
        let frame = join(&[&[0, 0, 3, 0x38], &[0; 10], &[0, family], &[0; 16]]);
        assert_eq!(whole(253, &frame).0, format!("netlink:{name}"));
    }
}

#[test]
fn hardware_of_a_cooked_header_whose_protocol_is_none_of_ethernet() {
    let cooked = |hardware: u16, protocol: u16, payload: &[u8]| {
        let head = join(&[&[0, 0], &hardware.to_be_bytes(), &[0, 0], &[0; 8], &protocol.to_be_bytes()]);
        whole(113, &join(&[&head, payload])).0
    };
    let data = ip(17, &udp(9, b"abc"));
    for (hardware, protocol, stack) in [
        (1, 0x0800, "sll:ip:udp:data"),
        (801, 4, "sll:llc:data"),
        // Frame Relay and radiotap, whatever the protocol says.
        (770, 0x0800, "sll:data"),
        (803, 4, "sll:data"),
        (803, 0x0800, "sll:data"),
        // GRE, over IPv4 and IPv6.
        (778, 0x0800, "sll:ip:udp:data"),
        (778, 4, "sll:data"),
        (823, 4, "sll:data"),
        (824, 0, "sll:netlink-route"),
    ] {
        assert_eq!(cooked(hardware, protocol, &data), stack, "{hardware} {protocol}");
    }
}

/// Probes for protocols and ports carry nothing: what a header announces is not there.
#[test]
fn nothing_is_no_layer() {
    for proto in [1, 4, 6, 17, 33, 41, 47, 50, 51, 97, 132, 136, 137, 143, 253] {
        let packet = of(RAW, &ip(proto, b""), 20);
        assert_eq!(stack(&packet), ("raw:ip".into(), SOUND), "{proto}");
        assert_eq!((packet.ip_proto, packet.depth, packet.has_ports), (proto, 0, false));
    }
    for port in [1701, 2152, 3544, 4500, 4789, 4790, 6081, 6635, 8472] {
        assert_eq!(whole(RAW, &ip(17, &udp(port, b""))), ("raw:ip:udp".into(), SOUND), "{port}");
    }
    // The length of IPv6 counts what is behind its header: there, what is named must be.
    for (next, name) in [(6, "tcp"), (50, "esp"), (33, "dccp"), (136, "udplite"), (97, "etherip"), (143, "eth")] {
        let (stack, why) = whole(RAW, &join(&[&[0x60, 0, 0, 0, 0, 0, next, 64], &[0xfd; 32]]));
        assert_eq!(stack, format!("raw:ipv6:{name}"));
        assert!(why.is_some_and(|why| why.ends_with("have 0")), "{name}");
    }
}

/// RFC 3378; RFC 8986, 4.9 and 10.1.
#[test]
fn ethernet_in_ip() {
    let frame = eth(0x0800, &ip(6, &tcp(b"hello")));
    let packet = of(RAW, &ip(143, &frame), 20 + frame.len());
    assert_eq!(stack(&packet), ("raw:ip:eth:ip:tcp:data".into(), SOUND));
    assert_eq!((packet.tunnel.name(), packet.depth, packet.dst_port), (Some("ethernet"), 1, 80));
    let framed = join(&[&[0x30, 0], &frame]);
    let packet = of(RAW, &ip(97, &framed), 20 + framed.len());
    assert_eq!(stack(&packet), ("raw:ip:etherip:eth:ip:tcp:data".into(), SOUND));
    assert_eq!((packet.tunnel.name(), packet.depth), (Some("etherip"), 1));
    assert_eq!(whole(RAW, &ip(97, &[0x40, 0, 1])).1.as_deref(), Some("etherip@20: version is not 3"));
}

/// Whose version 2 has a header of four bytes in front of the packet.
#[test]
fn web_cache_communication_in_gre() {
    let inner = ip(17, &udp(9, b"abc"));
    for redirect in [&[][..], &[0, 0, 0, 0]] {
        let frame = ip(47, &join(&[&[0, 0, 0x88, 0x3e], redirect, &inner]));
        assert_eq!(whole(RAW, &frame), ("raw:ip:gre:ip:udp:data".into(), SOUND));
    }
}

/// RFC 826: the addresses are as long as it says.
#[test]
fn arp_of_any_hardware() {
    let arp = |kind: u8, len: u8| {
        let hardware = vec![1; usize::from(len)];
        join(&[&[0, kind, 8, 0, len, 4, 0, 1], &hardware, &[10, 0, 0, 1], &hardware, &[10, 0, 0, 2]])
    };
    for (kind, len) in [(1, 6), (32, 20), (24, 8), (7, 1)] {
        let frame = eth(0x0806, &arp(kind, len));
        let packet = of(ETHERNET, &frame, frame.len());
        assert_eq!((stack(&packet), packet.arp), (("eth:arp".into(), SOUND), 14));
        let key = of_packet(&packet, &frame, 0).expect("ARP has a flow").key;
        assert_eq!((key.family, &key.low[..4], &key.high[..4]), (ARP, &[10, 0, 0, 1][..], &[10, 0, 0, 2][..]));
        // Cut, it says nothing of addresses, and what stands behind its end is none.
        let carried = ip(47, &join(&[&[0, 0, 8, 6], &frame[14..24]]));
        for frame in [frame[..24].to_vec(), eth(0x0800, &join(&[&carried, &[7; 40]]))] {
            let packet = of(ETHERNET, &frame, frame.len());
            assert_eq!((packet.arp, packet.last_proto()), (NONE, Some(Proto::Arp)));
            assert_ne!(of_packet(&packet, &frame, 0).map(|keyed| keyed.key.family), Some(ARP));
        }
    }
}

/// RFC 4302, 3.1.1: the authentication header stands in front of what is quoted.
#[test]
fn a_quote_names_its_flow_behind_an_authentication_header() {
    let datagram = udp(9, b"abc");
    let authenticated = join(&[&[17, 4, 0, 0], &[0; 20], &datagram]);
    for own in [ip(17, &datagram), ip(51, &authenticated)] {
        let sent = of(RAW, &own, own.len());
        let error = join(&[&unreachable(&own)]);
        let packet = of(RAW, &error, error.len());
        assert_eq!(quoted(&packet, &error, 0).map(|keyed| keyed.key), of_packet(&sent, &own, 0).map(|keyed| keyed.key));
    }
}
