//! TLS in segments: which frames and facts a flow gets, however its first record is cut and whoever looks first.

use sniffkit_core::app::{Found, Wants};
use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::track::{Options, Tracker};
use std::sync::Arc;

/// A segment from 10.0.0.1:4000 to 10.0.0.2:443 as a raw frame.
fn segment(flags: u8, seq: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet[2..4].copy_from_slice(&(40 + payload.len() as u16).to_be_bytes());
    packet.extend([4000u16.to_be_bytes(), 443u16.to_be_bytes()].concat());
    packet.extend(seq.to_be_bytes());
    packet.extend([0, 0, 0, 200, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend(payload);
    packet
}

fn record(content: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &(content.len() as u16).to_be_bytes(), content].concat()
}

/// A ClientHello for example.com in two records, the first of `cut` bytes.
fn hello(cut: usize) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let names = sized(&[&[0][..], &sized(b"example.com")].concat());
    let extensions = [&[0, 0][..], &sized(&names), &[0, 43], &sized(&[2, 3, 4])].concat();
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 4, 0x13, 1, 0x13, 2, 1, 0], &sized(&extensions)].concat();
    let message = [&[1, 0][..], &sized(&body)].concat();
    [record(&message[..cut]), record(&message[cut..])].concat()
}

fn tracked(wants: Wants, prepared: bool, frames: &[Vec<u8>]) -> Tracker {
    let mut tracker = Tracker::new(Options { streams: wants, ..Options::default() });
    let mut preparer = tracker.preparer();
    let mut decoded = Decoded::default();
    decoded.batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::RAW, 0))]);
    for (number, bytes) in (1..).zip(frames) {
        decoded.batch.clear();
        let meta = FrameMeta { ts: 0, number, frame_len: bytes.len() as u32, ..FrameMeta::default() };
        decoded.batch.push(meta, bytes);
        decoded.decode();
        if prepared {
            decoded.prepare(&mut preparer);
        } else {
            preparer.pass(&decoded.batch);
        }
        decoded.account(&mut tracker, None);
    }
    tracker.finish();
    tracker
}

#[test]
fn a_cut_first_record_shows_the_same_to_all() {
    for cut in 1..=3 {
        let hello = hello(cut);
        // In one segment, and with the segments cut at places that show less than is needed to tell.
        for at in [0, 3, 5, 6, 7, 8, 11, 12, 13, 40] {
            let (first, second) = hello.split_at(at);
            let mut frames = vec![segment(2, 99, b"")];
            let parts = [(100, first), (100 + at as u32, second)];
            frames.extend(parts.iter().filter(|(_, part)| !part.is_empty()).map(|(seq, part)| segment(24, *seq, part)));
            let last = frames.len() as u64;
            for prepared in [false, true] {
                let facts = Wants { facts: true, ..Wants::default() };
                let mut tracker = tracked(facts, prepared, &frames);
                let slots = tracker.finished_order();
                let flow = format!("{:?}", tracker.flow(slots[0]));
                assert!(flow.contains("tls_server_name: Some(\"example.com\")"), "cut at {cut} and {at}: {flow}");
            }
            let mut tracker = tracked(Wants { tls: true, ..Wants::default() }, false, &frames);
            let rows = tracker.streams().unwrap().rows();
            let Found::Tls(seen) = &rows[0].found else { panic!("another protocol") };
            let name = seen.client.as_ref().and_then(|hello| hello.server_name.as_deref());
            assert_eq!((rows.len(), name, seen.client_place.frame), (1, Some("example.com"), last));
        }
    }
}

#[test]
fn out_of_order_the_latest_frame_completes_the_hello() {
    let hello = hello(10);
    for at in [20, 60] {
        let (first, second) = hello.split_at(at);
        let frames = [segment(2, 99, b""), segment(24, 100 + at as u32, second), segment(24, 100, first)];
        let mut tracker = tracked(Wants { tls: true, ..Wants::default() }, false, &frames);
        let rows = tracker.streams().unwrap().rows();
        let Found::Tls(seen) = &rows[0].found else { panic!("another protocol") };
        assert_eq!(seen.client_place.frame, 3, "cut at {at}");
    }
}
