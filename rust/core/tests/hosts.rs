//! What single packets tell of hosts: DHCP, DNS answers, SYNs.

use sniffkit_core::decode::decode;
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::hosts::{Hosts, Limits, Source, dhcp, names, syn};
use sniffkit_core::neighbor::Ip;
use sniffkit_core::packet::Packet;
use std::sync::Arc;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn dhcp_message(op: u8, kind: u8, given: [u8; 4], name: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..3].copy_from_slice(&[op, 1, 6]);
    message[16..20].copy_from_slice(&given);
    message[28..34].copy_from_slice(&MAC);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend([0, 53, 1, kind, 12, name.len() as u8]);
    message.extend(name);
    message.push(255);
    message
}

#[test]
fn a_lease_is_what_the_server_confirms() {
    let request = dhcp::read(&dhcp_message(1, 3, [0; 4], b"laptop")).unwrap();
    assert_eq!((request.client, request.hostname.as_deref(), request.lease), (MAC, Some("laptop"), None));
    let offer = dhcp::read(&dhcp_message(2, 2, [10, 0, 0, 5], b"x")).unwrap();
    assert_eq!(offer.lease, None);
    let ack = dhcp::read(&dhcp_message(2, 5, [10, 0, 0, 5], b"a\x1bb\0")).unwrap();
    assert_eq!(ack.lease, Some(Ip::v4([10, 0, 0, 5])));
    assert_eq!(ack.hostname.as_deref(), Some("a\\027b"));
    let whole = dhcp_message(2, 5, [10, 0, 0, 5], b"name");
    for end in 0..whole.len() {
        let _ = dhcp::read(&whole[..end]);
    }
}

fn dns(records: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![0, 1, 0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
    message.extend(b"\x03www\x04test\x00\x00\x01\x00\x01");
    for record in records {
        message.extend(*record);
    }
    message
}

#[test]
fn answers_name_addresses() {
    let a = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01";
    let found = names::addresses(&dns(&[a]));
    assert_eq!(found, [(Ip::v4([10, 0, 0, 1]), "www.test".to_owned())]);
    let alias = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x06\x01b\xc0\x10\x00\x00";
    let of_alias = b"\x01b\xc0\x10\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x02";
    let found = names::addresses(&dns(&[alias, of_alias]));
    assert_eq!(found, [(Ip::v4([10, 0, 0, 2]), "www.test".to_owned())]);
}

#[test]
fn names_that_never_end_do() {
    let mut looped = dns(&[]);
    looped[7] = 200;
    looped.extend(b"\xc0\x1a\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01".repeat(200));
    assert!(names::addresses(&looped).len() <= 64);
    let whole = dns(&[b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01"]);
    for end in 0..whole.len() {
        assert!(names::addresses(&whole[..end]).is_empty());
    }
}

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
