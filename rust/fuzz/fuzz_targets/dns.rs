//! A DNS message: read without panic, and nothing in it is longer than it. Then the bytes as messages of mDNS and LLMNR on
//! one link: each query is in one row, each response in one at least.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_core::app::dns::{Message, Multicast, looks, make};
use sniffkit_core::app::{Datagram, Facts, Found, Out, Wants, Who};
use sniffkit_core::packet::Tunnel;
use sniffkit_core::stream::Place;
use sniffkit_core::track::key::FlowKey;
use std::collections::HashSet;

/// Sender, receiver, milliseconds and length stand before each message.
const HEAD: usize = 4;
const GROUP: u8 = 224;

fn end(which: u8) -> ([u8; 16], u16) {
    let mut address = [0; 16];
    (address[0], address[3]) = if which & 7 == 0 { (GROUP, 251) } else { (10, which & 3) };
    (address, if which & 8 == 0 { 5353 } else { 5355 })
}

fn exchanges(mut input: &[u8]) {
    let wants = Wants { dns: true, ..Wants::default() };
    let (mut facts, mut rows, mut multicast) = (Facts::default(), Vec::new(), Multicast::default());
    let (mut asked, mut told) = (HashSet::new(), HashSet::new());
    let mut place = Place::default();
    while input.len() > HEAD {
        let (head, rest) = input.split_at(HEAD);
        let (payload, others) = rest.split_at(usize::from(head[3]).min(rest.len()));
        input = others;
        let ((low, from), (high, to)) = (end(head[0]), end(head[1]));
        place = Place { ts: place.ts + i64::from(head[2]) * 10_000_000, frame: place.frame + 1, timed: true };
        let (vni, extra, vlans, ethertype, point, proto, family) = (0, 0, 0, 0, 0, 17, 4);
        let tunnel = Tunnel::None;
        let key = FlowKey { low, high, vlans, vni, extra, ports: [from, to], ethertype, point, proto, family, tunnel };
        let wire_len = payload.len() as u32;
        let datagram = Datagram { payload, wire_len, key: &key, side: 0, ports: (from, to), place };
        if !looks(&datagram) {
            continue;
        }
        if let Some(message) = Message::parse(payload) {
            if message.is_response {
                told.insert(place.frame)
            } else {
                asked.insert(place.frame)
            };
        }
        let who = Who { family: 4, proto: 17, ..Who::default() };
        let (facts, rows, multicast) = (&mut facts, &mut rows, &mut multicast);
        make().datagram(&datagram, &mut Out { wants, who, facts, rows, multicast, files: None, tap: None });
    }
    multicast.finish(&mut rows);
    for row in rows {
        let Found::Dns(exchange) = row.found else { panic!("another table's row") };
        assert!(exchange.query.is_none() || asked.remove(&exchange.asked.frame), "a query in two rows");
        if exchange.response.is_some() {
            told.remove(&exchange.answered.frame);
        }
    }
    assert!(asked.is_empty() && told.is_empty(), "a message in no row");
}

fuzz_target!(|input: &[u8]| {
    exchanges(input);
    let Some(message) = Message::parse(input) else { return };
    assert!(message.questions.len() * 5 <= input.len());
    assert!(message.answers.len() * 11 <= input.len());
    assert!(message.answers.iter().all(|answer| answer.name.len() <= 255 * 4));
});
