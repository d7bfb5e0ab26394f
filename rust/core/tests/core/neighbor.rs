//! What claims to addresses turn out to be: one short story each.

use sniffkit_core::decode::decode;
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::neighbor::{Finding, Ip, Known, Limits, Message, Watch, watch::Verdict};
use sniffkit_core::packet::Packet;
use std::sync::Arc;

const SECOND: i64 = 1_000_000_000;
const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
const CLIENT: [u8; 6] = [2, 0, 0, 0, 0, 0xc];
const ALL: [u8; 6] = [0xff; 6];
const IP: [u8; 4] = [10, 0, 0, 1];
const CLIENT_IP: [u8; 4] = [10, 0, 0, 9];

fn ethernet(to: [u8; 6], from: [u8; 6], kind: u16, body: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), body].concat()
}

fn arp(opcode: u8, sender: ([u8; 6], [u8; 4]), target: ([u8; 6], [u8; 4])) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, opcode][..], &sender.0, &sender.1, &target.0, &target.1].concat()
}

fn asks(from: [u8; 6], ip: [u8; 4], wanted: [u8; 4]) -> Vec<u8> {
    ethernet(ALL, from, 0x0806, &arp(1, (from, ip), ([0; 6], wanted)))
}

fn answers(from: [u8; 6], ip: [u8; 4]) -> Vec<u8> {
    ethernet(CLIENT, from, 0x0806, &arp(2, (from, ip), (CLIENT, CLIENT_IP)))
}

fn announces(from: [u8; 6], ip: [u8; 4]) -> Vec<u8> {
    ethernet(ALL, from, 0x0806, &arp(1, (from, ip), ([0; 6], ip)))
}

/// An IPv4 packet without payload.
fn ipv4(to: [u8; 6], from: [u8; 6], source: [u8; 4]) -> Vec<u8> {
    let header = [&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0][..], &source, &CLIENT_IP].concat();
    ethernet(to, from, 0x0800, &header)
}

fn advertises(from: [u8; 6], address: u8, solicited: bool) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0, 0, 32, 58, 255];
    let mut source = [0; 16];
    source[0] = 0xfd;
    source[15] = address;
    ip.extend(source);
    ip.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    ip.extend([136, 0, 0, 0, if solicited { 0x60 } else { 0x20 }, 0, 0, 0]);
    ip.extend(source);
    ip.extend([2, 1]);
    ip.extend(from);
    ethernet(CLIENT, from, 0x86dd, &ip)
}

struct Story {
    watch: Watch,
    number: u64,
    packet: Packet,
}

impl Story {
    fn new(limits: Limits) -> Self {
        let mut watch = Watch::new(limits);
        watch.learn(&[
            Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0)),
            Arc::new(InterfaceInfo { name: Some("eth1".into()), ..InterfaceInfo::anonymous(LinkType::ETHERNET, 0) }),
        ]);
        Self { watch, number: 0, packet: Packet::default() }
    }

    fn at(&mut self, seconds: f64, interface: u32, frame: &[u8]) -> Option<(Message, Verdict)> {
        self.number += 1;
        let ts = (seconds * 1e9) as i64 + 1_700_000_000 * SECOND;
        let meta = FrameMeta { ts, number: self.number, interface, ..FrameMeta::default() };
        decode(frame, frame.len() as u32, LinkType::ETHERNET, &mut self.packet);
        self.watch.frame(&meta, &self.packet, frame)
    }

    fn finds(&mut self, seconds: f64, frame: &[u8]) -> Vec<&'static str> {
        let (_, verdict) = self.at(seconds, 0, frame).expect("a message");
        verdict.findings.iter().map(Finding::name).collect()
    }
}

#[test]
fn an_ordinary_exchange_only_has_new_stations() {
    let mut story = Story::new(Limits::default());
    assert_eq!(story.finds(0.0, &asks(CLIENT, CLIENT_IP, IP)), ["new"]);
    assert_eq!(story.finds(0.1, &answers(A, IP)), ["new"]);
    for seconds in [30.0, 400.0, 90_000.0] {
        assert!(story.finds(seconds, &asks(CLIENT, CLIENT_IP, IP)).is_empty());
        assert!(story.finds(seconds + 0.1, &answers(A, IP)).is_empty());
    }
}

#[test]
fn a_probe_claims_nothing() {
    let mut story = Story::new(Limits::default());
    assert!(story.finds(0.0, &asks(A, [0; 4], IP)).is_empty());
    assert_eq!(story.finds(3.0, &announces(A, IP)), ["new"]);
}

#[test]
fn poisoning_is_found_at_its_first_answer_and_at_every_one() {
    let mut story = Story::new(Limits::default());
    story.finds(0.0, &asks(CLIENT, CLIENT_IP, IP));
    story.finds(0.1, &answers(A, IP));
    assert_eq!(story.finds(20.0, &answers(B, IP)), ["changed", "unsolicited"]);
    for step in 1..100 {
        let found = story.finds(20.0 + 2.0 * f64::from(step), &answers(B, IP));
        assert_eq!(found, ["conflict", "unsolicited"], "answer {step}");
    }
    assert_eq!(story.finds(300.0, &asks(A, IP, CLIENT_IP)), ["flip-flop"]);
}

#[test]
fn two_stations_that_answer_one_question_are_in_conflict() {
    let mut story = Story::new(Limits::default());
    story.finds(0.0, &asks(CLIENT, CLIENT_IP, IP));
    assert_eq!(story.finds(0.1, &answers(A, IP)), ["new"]);
    assert_eq!(story.finds(0.2, &answers(B, IP)), ["conflict"]);
}

#[test]
fn an_address_that_moves_for_good_is_quiet_after_a_while() {
    let mut story = Story::new(Limits::default());
    story.finds(0.0, &announces(A, IP));
    assert_eq!(story.finds(100.0, &announces(B, IP)), ["changed"]);
    story.finds(130.0, &asks(CLIENT, CLIENT_IP, IP));
    assert!(story.finds(130.1, &answers(B, IP)).is_empty());
}

#[test]
fn the_ethernet_source_must_be_the_sender() {
    let mut story = Story::new(Limits::default());
    let frame = ethernet(CLIENT, B, 0x0806, &arp(1, (A, IP), ([0; 6], CLIENT_IP)));
    assert_eq!(story.finds(0.0, &frame), ["new", "mismatch"]);
    let (_, verdict) = story.at(1.0, 0, &frame).unwrap();
    assert_eq!(verdict.findings.main(), Some(Finding::Mismatch));
}

/// RFC 1812, 3.3.2: no station has an address of a group or of all.
#[test]
fn a_sender_that_says_it_is_a_group_is_a_mismatch() {
    for named in [ALL, [3, 0xbf, 10, 0, 0, 1]] {
        let mut story = Story::new(Limits::default());
        let frame = ethernet(CLIENT, A, 0x0806, &arp(2, (named, IP), (CLIENT, CLIENT_IP)));
        assert_eq!(story.finds(0.0, &frame), ["mismatch"]);
    }
    let unsaid = ethernet(CLIENT, A, 0x0806, &arp(2, ([0; 6], IP), (CLIENT, CLIENT_IP)));
    assert!(Story::new(Limits::default()).finds(0.0, &unsaid).is_empty());
}

#[test]
fn what_stands_behind_the_packet_is_no_option() {
    let mut bare = advertises(A, 1, true);
    bare[18..20].copy_from_slice(&24u16.to_be_bytes()); // the option is the frame's trailer
    let (message, verdict) = Story::new(Limits::default()).at(0.0, 0, &bare).unwrap();
    assert_eq!((message.opcode, message.src_hw), (136, None));
    assert!(verdict.findings.iter().next().is_none());
}

/// RFC 6980, 5.
#[test]
fn neighbor_discovery_in_fragments_is_ignored() {
    let whole = advertises(A, 1, true);
    let mut story = Story::new(Limits::default());
    for (kind, header) in [(44, [58, 0, 0, 0, 0, 0, 0, 7]), (60, [58, 0, 1, 4, 0, 0, 0, 0])] {
        let mut frame = [&whole[..54], &header, &whole[54..]].concat();
        (frame[19], frame[20]) = (frame[19] + 8, kind);
        // Other extension headers may stand there.
        assert_eq!(story.at(0.0, 0, &frame).is_some(), kind == 60);
    }
}

#[test]
fn capture_points_and_vlans_are_apart() {
    let mut story = Story::new(Limits::default());
    story.at(0.0, 0, &announces(A, IP));
    let names = |found: Option<(Message, Verdict)>| found.unwrap().1.findings.main().map(Finding::name);
    assert_eq!(names(story.at(1.0, 1, &announces(B, IP))), Some("new"));
    let body = arp(1, (B, IP), ([0; 6], IP));
    let tagged = ethernet(ALL, B, 0x8100, &[&[0, 42, 8, 6][..], &body].concat());
    assert_eq!(names(story.at(2.0, 0, &tagged)), Some("new"));
    assert_eq!(names(story.at(3.0, 0, &announces(B, IP))), Some("changed"));
}

#[test]
fn whether_an_answer_was_asked_for_is_judged_by_its_own_segment() {
    let mut story = Story::new(Limits::default());
    let mut at = |seconds: f64, interface: u32, frame: &[u8]| {
        let (_, verdict) = story.at(seconds, interface, frame).unwrap();
        verdict.findings.has(Finding::Unsolicited)
    };
    at(0.0, 0, &asks(CLIENT, CLIENT_IP, [10, 0, 0, 77]));
    // Where nothing was asked yet, the question may have been before the capture, for as long as answers take.
    assert!(at(1.0, 0, &answers(A, IP)) && !at(1.0, 1, &answers(A, IP)));
    assert!(!at(5.9, 1, &answers(A, IP)) && at(6.1, 1, &answers(A, IP)));
}

/// A frame in Ethernet over GRE (RFC 2784) between two hosts.
fn in_gre(inner: &[u8]) -> Vec<u8> {
    let total = (24 + inner.len() as u16).to_be_bytes();
    let ip = [&[0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 47, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2][..]].concat();
    ethernet(CLIENT, C, 0x0800, &[&ip[..], &[0, 0, 0x65, 0x58], inner].concat())
}

#[test]
fn the_network_in_a_tunnel_is_not_the_one_around_it() {
    let mut story = Story::new(Limits::default());
    assert_eq!(story.finds(0.0, &announces(A, IP)), ["new"]);
    assert_eq!(story.finds(30.0, &in_gre(&announces(B, IP))), ["new"]);
    assert_eq!(story.finds(60.0, &in_gre(&announces(A, IP))), ["changed"]);
    let known = story.watch.known();
    assert_eq!(known.iter().map(|known| known.holders.len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_storm_of_announcements() {
    let mut story = Story::new(Limits::default());
    let found: Vec<bool> =
        (0..15).map(|i| story.finds(f64::from(i) * 0.1, &announces(A, IP)).contains(&"gratuitous-storm")).collect();
    assert_eq!(found.iter().filter(|storm| **storm).count(), 5);
    assert!(!story.finds(60.0, &announces(A, IP)).contains(&"gratuitous-storm"));
}

#[test]
fn a_router_is_known_by_what_it_forwards() {
    let mut story = Story::new(Limits::default());
    story.finds(0.0, &asks(CLIENT, CLIENT_IP, IP));
    story.finds(0.1, &answers(A, IP));
    for last in 1..4 {
        assert!(story.at(1.0, 0, &ipv4(CLIENT, A, [192, 0, 2, last])).is_none());
    }
    assert_eq!(story.finds(8.0, &answers(B, IP)), ["changed", "unsolicited", "gateway-takeover"]);
    // A station that forwards for nobody is no router.
    story.finds(9.0, &announces(B, [10, 0, 0, 77]));
    assert_eq!(story.finds(10.0, &announces(A, [10, 0, 0, 77])), ["changed"]);
}

/// An IPv6 packet without payload.
fn ipv6(from: [u8; 6], source: &str) -> Vec<u8> {
    let source: std::net::Ipv6Addr = source.parse().unwrap();
    let header = [&[0x60, 0, 0, 0, 0, 0, 59, 64][..], &source.octets(), &[0xfd; 16]].concat();
    ethernet(CLIENT, from, 0x86dd, &header)
}

#[test]
fn a_host_with_several_addresses_is_no_router() {
    let mut story = Story::new(Limits::default());
    story.at(0.0, 0, &ipv4(CLIENT, A, IP));
    for own in ["fe80::a", "fd00::a", "fd00::b", "fd00::c", "2001:db8::a"] {
        story.at(0.1, 0, &ipv6(A, own));
    }
    story.finds(1.0, &asks(CLIENT, CLIENT_IP, IP));
    story.finds(1.1, &answers(A, IP));
    assert_eq!(story.finds(20.0, &answers(B, IP)), ["changed", "unsolicited"]);
    for foreign in ["2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1"] {
        story.at(21.0, 0, &ipv6(A, foreign));
    }
    assert!(story.finds(22.0, &answers(B, IP)).contains(&"gateway-takeover"));
}

fn lease(kind: u8) -> Vec<u8> {
    let mut message = vec![0; 236];
    message[..3].copy_from_slice(&[2, 1, 6]);
    message.extend([99, 130, 83, 99, 53, 1, kind, 3, 4]);
    message.extend(IP);
    message.push(255);
    let udp = [&[0, 67, 0, 68][..], &(8 + message.len() as u16).to_be_bytes(), &[0, 0], &message].concat();
    let total = (20 + udp.len() as u16).to_be_bytes();
    let ip = [&[0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2][..], &CLIENT_IP, &udp].concat();
    ethernet(CLIENT, C, 0x0800, &ip)
}

const C: [u8; 6] = [2, 0, 0, 0, 0, 0xd];

#[test]
fn a_default_gateway_is_known_by_its_lease_or_is_given() {
    let takeover = |story: &mut Story, seconds: f64| {
        story.finds(seconds, &asks(CLIENT, CLIENT_IP, IP));
        story.finds(seconds + 0.1, &answers(A, IP));
        story.finds(seconds + 20.0, &answers(B, IP)).contains(&"gateway-takeover")
    };
    let mut story = Story::new(Limits::default());
    assert!(!takeover(&mut story, 0.0));
    story.at(100.0, 0, &lease(2));
    assert!(!takeover(&mut story, 200.0), "an offer is no lease");
    story.at(300.0, 0, &lease(5));
    assert!(takeover(&mut story, 400.0));
    let mut given = Story::new(Limits::default());
    given.watch.gateways([Ip::v4(IP)]);
    assert!(takeover(&mut given, 0.0));
    // What the kernel's routes say of one interface holds there alone.
    let route = |interface: Option<&str>| Known {
        netns: None,
        interface: interface.map(str::to_owned),
        vlans: sniffkit_core::track::key::pack_vlans(&[]),
        vni: sniffkit_core::packet::NONE,
        ip: Ip::v4(IP),
        holders: Vec::new(),
        current: 0,
        gateway: true,
    };
    for (interface, expected) in [(None, true), (Some("eth1"), false)] {
        let mut routed = Story::new(Limits::default());
        let mut watch = Watch::new(Limits::default());
        watch.remember(vec![route(interface)]);
        watch.learn(&[
            Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0)),
            Arc::new(InterfaceInfo { name: Some("eth1".into()), ..InterfaceInfo::anonymous(LinkType::ETHERNET, 0) }),
        ]);
        routed.watch = watch;
        assert_eq!(takeover(&mut routed, 0.0), expected, "{interface:?}");
    }
}

#[test]
fn neighbor_advertisements_are_judged_alike() {
    let mut story = Story::new(Limits::default());
    assert_eq!(story.finds(0.0, &advertises(A, 1, true)), ["new"]);
    assert_eq!(story.finds(30.0, &advertises(B, 1, false)), ["changed", "unsolicited"]);
    let mut forwarded = advertises(B, 2, true);
    forwarded[14 + 7] = 254;
    assert!(story.at(31.0, 0, &forwarded).is_none(), "hop limit under 255: not from this link");
}

#[test]
fn what_is_known_goes_into_the_next_run() {
    let mut story = Story::new(Limits::default());
    story.finds(0.0, &announces(A, IP));
    story.finds(100.0, &announces(B, IP));
    let known: Vec<Known> = story.watch.known();
    let mut next = Story::new(Limits::default());
    let mut watch = Watch::new(Limits::default());
    watch.remember(known.clone());
    watch.learn(&[Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
    next.watch = watch;
    assert_eq!(next.watch.known(), known);
    assert!(next.finds(1000.0, &announces(B, IP)).is_empty());
    assert_eq!(next.finds(1001.0, &announces(A, IP)), ["flip-flop"]);
}

#[test]
fn the_table_of_addresses_is_bounded() {
    let mut story = Story::new(Limits { max_addresses: 100, ..Limits::default() });
    for i in 0..1000u32 {
        let [_, _, high, low] = i.to_be_bytes();
        let mac = [2, 1, 0, 0, high, low];
        story.finds(f64::from(i), &announces(mac, [10, 1, high, low]));
        story.finds(f64::from(i), &asks(mac, [10, 2, high, low], [10, 3, high, low]));
    }
    assert!(story.watch.known().len() <= 100);
    assert!(story.watch.counters().evicted_addresses >= 1900);
}

#[test]
fn segments_and_questions_are_bounded() {
    let mut story = Story::new(Limits { max_addresses: 64, ..Limits::default() });
    for i in 0..1000u16 {
        let [high, low] = (i + 1).to_be_bytes();
        let tagged = ethernet(ALL, A, 0x8100, &[&[high, low, 8, 6][..], &arp(1, (A, IP), ([0; 6], IP))].concat());
        story.at(0.01 * f64::from(i), 0, &tagged);
    }
    assert!((936..1000).contains(&story.watch.counters().evicted_segments));
    // More questions than are kept: an answer to one that may be among the forgotten is not unasked, later it is again.
    let scan = |story: &mut Story| {
        for i in 0..1000u16 {
            let [high, low] = i.to_be_bytes();
            story.at(100.0 + 0.001 * f64::from(i), 0, &asks(CLIENT, CLIENT_IP, [10, 9, high, low]));
        }
    };
    story.at(50.0, 0, &announces(A, IP));
    scan(&mut story);
    assert!((936..1000).contains(&story.watch.counters().evicted_questions));
    assert!(!story.finds(104.0, &answers(A, [10, 9, 0, 1])).contains(&"unsolicited"));
    assert!(story.finds(106.1, &answers(A, [10, 9, 0, 1])).contains(&"unsolicited"));
}

#[test]
fn link_layer_options_of_other_lengths_are_no_ethernet_addresses() {
    let mut story = Story::new(Limits::default());
    let mut long = advertises(A, 1, true);
    long[14 + 40 + 25] = 2;
    long.extend([0; 8]);
    long[14 + 5] = 40;
    let (message, verdict) = story.at(0.0, 0, &long).unwrap();
    assert_eq!((message.src_hw, verdict.findings.iter().count()), (None, 0));
}

#[test]
fn a_redirect_says_where_its_target_is_and_claims_nothing() {
    let mut redirect = advertises(A, 1, true);
    let target = redirect[14 + 40 + 8..][..16].to_vec();
    redirect[14 + 40] = 137;
    redirect.splice(14 + 40 + 24..14 + 40 + 24, target);
    redirect[14 + 5] = 48;
    let at = redirect.len() - 6;
    redirect[at..].copy_from_slice(&B);
    let mut story = Story::new(Limits::default());
    let (message, verdict) = story.at(0.0, 0, &redirect).unwrap();
    assert_eq!((message.opcode, message.src_hw, message.dst_hw), (137, None, Some(B)));
    assert_eq!((message.dst_ip, verdict.findings.iter().count()), (message.src_ip, 0));
}

#[test]
fn every_prefix_of_a_message_is_read_without_harm() {
    let mut story = Story::new(Limits::default());
    for frame in [answers(A, IP), advertises(A, 1, true)] {
        for end in 0..frame.len() {
            story.at(0.0, 0, &frame[..end]);
            let mut odd = frame.clone();
            odd[end] ^= 0xff;
            story.at(0.0, 0, &odd);
        }
    }
}
