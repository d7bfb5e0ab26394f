//! A run of Ethernet frames through what judges ARP and ND claims and through the passive hosts: no panic, no growth.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_core::decode::decode;
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::hosts::{self, Hosts};
use sniffkit_core::neighbor::{self, Watch};
use sniffkit_core::packet::Packet;
use std::sync::Arc;

const MAX: usize = 16;

// Each frame comes behind its length and the seconds since the one before (a byte each; 255: back in time).
fuzz_target!(|input: &[u8]| {
    let mut watch = Watch::new(neighbor::Limits { max_addresses: MAX, ..neighbor::Limits::default() });
    let mut all = Hosts::new(hosts::Limits { max_hosts: MAX, max_names: MAX, ..hosts::Limits::default() });
    let interfaces = [Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))];
    watch.learn(&interfaces);
    all.learn(&interfaces);
    let (mut ts, mut number, mut rest) = (0i64, 0u64, input);
    let mut packet = Packet::default();
    while let [length, step, after @ ..] = rest {
        let frame = &after[..usize::from(*length).min(after.len())];
        rest = &after[frame.len()..];
        ts = if *step == 255 { i64::MIN } else { ts.saturating_add(i64::from(*step) * 1_000_000_000) };
        number += 1;
        let meta = FrameMeta { ts, number, frame_len: frame.len() as u32, ..FrameMeta::default() };
        decode(frame, meta.frame_len, LinkType::ETHERNET, &mut packet);
        if let Some((_, verdict)) = watch.frame(&meta, &packet, frame) {
            assert!(verdict.findings.iter().count() <= 8);
        }
        if all.is_full() {
            all.evict();
        }
        all.frame(&meta, &packet, frame);
        for host in all.all() {
            let mut text = String::new();
            if let Some(syn) = &host.syn {
                syn.write(&mut text);
                assert!(syn.guess().confidence <= 100);
            }
            let _ = all.hostname(host);
        }
        assert!(all.all().len() <= MAX + 3);
    }
    assert!(watch.known().len() <= MAX);
});
