//! What single packets tell of hosts: DHCP, DNS answers, SYNs.

use sniffkit_core::decode::decode;
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::hosts::{Hosts, Limits, MAX_CLAIMS, MAX_OFFERS, News, Source, syn};
use sniffkit_core::neighbor::Ip;
use sniffkit_core::packet::Packet;
use std::sync::Arc;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn syn_frame(ttl: u8, window: u16, options: &[u8]) -> Vec<u8> {
    let total = 40 + options.len() as u16;
    let mut frame = [&[2, 0, 0, 0, 0, 2][..], &MAC, &[8, 0, 0x45, 0]].concat();
    frame.extend(total.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, ttl, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, ((20 + options.len()) / 4) as u8 * 16, 2]);
    frame.extend(window.to_be_bytes());
    frame.extend([0, 0, 0, 0]);
    frame.extend(options);
    frame
}

fn guess(frame: &[u8]) -> Option<(&'static str, u8, String)> {
    let mut packet = Packet::default();
    decode(frame, frame.len() as u32, LinkType::ETHERNET, &mut packet);
    let syn = syn::read(&packet, frame)?;
    let mut text = String::new();
    syn.write(&mut text);
    Some((syn.guess().name, syn.guess().confidence, text))
}

const MSS_1460: [u8; 4] = [2, 4, 5, 0xb4];
const TIMESTAMPS: [u8; 10] = [8, 10, 0, 0, 0, 1, 0, 0, 0, 0];

#[test]
fn systems_by_their_syn() {
    let linux = [&MSS_1460[..], &[4, 2], &TIMESTAMPS, &[1, 3, 3, 7]].concat();
    let (name, sure, text) = guess(&syn_frame(61, 64240, &linux)).unwrap();
    assert_eq!((name, sure, text.as_str()), ("Linux", 90, "4:64+3:1460:mss*44,7:mss,sok,ts,nop,ws"));
    let windows = [&MSS_1460[..], &[1, 3, 3, 8, 1, 1, 4, 2]].concat();
    assert_eq!(guess(&syn_frame(128, 64240, &windows)).unwrap().0, "Windows");
    assert_eq!(guess(&syn_frame(117, 7777, &windows)).unwrap().1, 70);
    let macos = [&MSS_1460[..], &[1, 3, 3, 6, 1, 1], &TIMESTAMPS, &[4, 2, 0, 0]].concat();
    assert_eq!(guess(&syn_frame(64, 65535, &macos)).unwrap().0, "macOS or iOS");
    assert_eq!(guess(&syn_frame(45, 1024, &MSS_1460)).unwrap().0, "nmap scan");
    assert_eq!(guess(&syn_frame(250, 5, &[])).unwrap().0, "network device");
    // Behind an option shorter than kind and length no other begins.
    let short = [&MSS_1460[..], &[99, 1, 4, 2]].concat();
    assert!(guess(&syn_frame(64, 5, &short)).unwrap().2.ends_with(":mss,?"));
    let whole = syn_frame(61, 64240, &linux);
    for end in 54..whole.len() {
        assert!(guess(&whole[..end]).is_none(), "options cut at {end}");
    }
}

#[test]
fn hosts_beyond_the_bound_go_out_as_rows() {
    let mut hosts = Hosts::new(Limits { max_hosts: 64, max_names: 64, ..Limits::default() });
    hosts.learn(&[Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
    let mut packet = Packet::default();
    let mut evicted = 0;
    for i in 0..1000u16 {
        let mut frame = syn_frame(64, 1000, &MSS_1460);
        frame[28..30].copy_from_slice(&(i + 256).to_be_bytes());
        decode(&frame, frame.len() as u32, LinkType::ETHERNET, &mut packet);
        if hosts.is_full() {
            evicted += hosts.evict().len();
        }
        hosts.frame(&FrameMeta { ts: i64::from(i), ..FrameMeta::default() }, &packet, &frame);
        assert!(hosts.all().len() <= 66);
    }
    assert!(evicted >= 900);
    assert_eq!(hosts.counters().evicted_hosts, evicted as u64);
    let last = hosts.all().iter().find(|host| host.ip == Ip::v4([10, 0, 0, 2])).unwrap();
    assert_eq!(last.sources, 1 << Source::Ip as u8);
}

#[test]
fn news_are_told_once() {
    let mut hosts = Hosts::new(Limits::default());
    hosts.learn(&[Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
    let mut packet = Packet::default();
    let mut see = |hosts: &mut Hosts| {
        let frame = syn_frame(64, 1000, &MSS_1460);
        decode(&frame, frame.len() as u32, LinkType::ETHERNET, &mut packet);
        hosts.frame(&FrameMeta::default(), &packet, &frame);
    };
    see(&mut hosts);
    let told: Vec<_> = hosts.take_news().iter().map(|host| (host.ip, host.news)).collect();
    let new = 1 << News::New as u8;
    let of_sender = new | 1 << News::Os as u8;
    assert_eq!(told, [(Ip::v4([10, 0, 0, 1]), of_sender), (Ip::v4([10, 0, 0, 2]), new)]);
    see(&mut hosts);
    assert!(hosts.take_news().is_empty());
}

/// An ARP reply from `mac`, which says that it has 10.0.0.1.
fn claim_of(mac: [u8; 6]) -> Vec<u8> {
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &mac, &[10, 0, 0, 1], &[2, 0, 0, 0, 0, 2], &[10, 0, 0, 2]].concat();
    [&[2, 0, 0, 0, 0, 2][..], &mac, &[8, 6], &arp].concat()
}

#[test]
fn what_a_station_sent_is_not_given_to_whoever_claims_its_address_first() {
    const LIAR: [u8; 6] = [2, 0, 0, 0, 0, 0x66];
    let mut hosts = Hosts::new(Limits::default());
    hosts.learn(&[Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
    let mut packet = Packet::default();
    for frame in [syn_frame(64, 1000, &MSS_1460), claim_of(LIAR), syn_frame(64, 1000, &MSS_1460), claim_of(MAC)] {
        decode(&frame, frame.len() as u32, LinkType::ETHERNET, &mut packet);
        hosts.frame(&FrameMeta::default(), &packet, &frame);
    }
    let told = |host: &&sniffkit_core::hosts::Host| host.ip == Ip::v4([10, 0, 0, 1]);
    let rows: Vec<_> = hosts.all().iter().filter(told).map(|host| (host.mac, host.pkts)).collect();
    assert_eq!(rows, [(Some(MAC), 2), (Some(LIAR), 0)]);
}

#[test]
fn a_router_that_sends_from_its_virtual_address_is_one_host() {
    const VIRTUAL: [u8; 6] = [0, 0, 0x5e, 0, 1, 7];
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 9];
    const OF_IPV6: [u8; 6] = [0, 5, 0x73, 0xa0, 0x0f, 1];
    let one = || vec![(Some(MAC), 2)];
    for (sender, rows) in [(VIRTUAL, one()), (OF_IPV6, one()), (OTHER, vec![(None, 2), (Some(MAC), 0)])] {
        let mut hosts = Hosts::new(Limits::default());
        hosts.learn(&[Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
        let mut packet = Packet::default();
        let mut sent = syn_frame(64, 1000, &MSS_1460);
        sent[6..12].copy_from_slice(&sender);
        for frame in [&sent, &claim_of(MAC), &sent] {
            decode(frame, frame.len() as u32, LinkType::ETHERNET, &mut packet);
            hosts.frame(&FrameMeta::default(), &packet, frame);
        }
        let told = |host: &&sniffkit_core::hosts::Host| host.ip == Ip::v4([10, 0, 0, 1]);
        let found: Vec<_> = hosts.all().iter().filter(told).map(|host| (host.mac, host.pkts)).collect();
        assert_eq!(found, rows);
    }
}

#[test]
fn every_station_of_an_address_is_a_row() {
    let mut hosts = Hosts::new(Limits::default());
    hosts.learn(&[Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
    let mut packet = Packet::default();
    let mut gone = Vec::new();
    for i in 0..2 * MAX_CLAIMS as u8 + 5 {
        let frame = claim_of([2, 0, 0, 0, 1, i]);
        decode(&frame, frame.len() as u32, LinkType::ETHERNET, &mut packet);
        hosts.frame(&FrameMeta { ts: i64::from(i), ..FrameMeta::default() }, &packet, &frame);
        if i % 3 == 0 {
            gone.append(&mut hosts.take_gone());
        }
    }
    gone.append(&mut hosts.take_gone());
    assert_eq!((gone.len(), hosts.all().len()), (MAX_CLAIMS + 5, MAX_CLAIMS));
    assert_eq!(hosts.counters().evicted_hosts, gone.len() as u64);
    let mut rows: Vec<_> = gone.iter().chain(hosts.all()).map(|host| (host.mac.unwrap()[5], host.last_seen)).collect();
    rows.sort_unstable();
    let each: Vec<_> = (0..2 * MAX_CLAIMS as u8 + 5).map(|i| (i, Some(i64::from(i)))).collect();
    assert_eq!(rows, each);
    // News are of who is there, each once.
    let told: Vec<_> = hosts.take_news().iter().map(|host| (host.mac, host.news)).collect();
    assert_eq!((told.len(), told.iter().filter(|(_, news)| *news == 1 << News::New as u8).count()), (16, 16));
}

#[test]
fn ports_beyond_the_bound_are_counted() {
    let mut hosts = Hosts::new(Limits::default());
    hosts.learn(&[Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
    let mut packet = Packet::default();
    for port in 1..=300u16 {
        let mut frame = syn_frame(64, 1000, &[]);
        frame[34..36].copy_from_slice(&port.to_be_bytes());
        frame[47] = 0x12;
        decode(&frame, frame.len() as u32, LinkType::ETHERNET, &mut packet);
        hosts.frame(&FrameMeta::default(), &packet, &frame);
    }
    assert_eq!((hosts.all()[0].offers.len(), hosts.counters().left_out_ports), (MAX_OFFERS, 300 - MAX_OFFERS as u64));
}

#[test]
fn a_dhcpv6_server_answers_from_its_port() {
    let mut hosts = Hosts::new(Limits::default());
    hosts.learn(&[Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
    let mut packet = Packet::default();
    for (from, to, source, port) in [(1, 2, 546u16, 547u16), (2, 1, 547, 546), (2, 3, 547, 547), (1, 2, 50_000, 546)] {
        let address = |last| [&[0xfe, 0x80][..], &[0; 13], &[last]].concat();
        let ip = [&[0x60, 0, 0, 0, 0, 12, 17, 64][..], &address(from), &address(to)].concat();
        let udp = [&source.to_be_bytes()[..], &port.to_be_bytes(), &[0, 12, 0, 0, 2, 0, 0, 7]].concat();
        let frame = [&[2, 0, 0, 0, 0, to][..], &[2, 0, 0, 0, 0, from], &[0x86, 0xdd], &ip, &udp].concat();
        decode(&frame, frame.len() as u32, LinkType::ETHERNET, &mut packet);
        hosts.frame(&FrameMeta::default(), &packet, &frame);
    }
    let ports = |host: &sniffkit_core::hosts::Host| host.offers.iter().map(|offer| offer.port).collect::<Vec<_>>();
    assert_eq!(hosts.all().iter().map(ports).collect::<Vec<_>>(), [vec![], vec![547], vec![]]);
}
