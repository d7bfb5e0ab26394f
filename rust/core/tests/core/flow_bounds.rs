//! The flow table stays within its bounds whatever comes, and counts what it gave up.

use sniffkit_core::frame::{FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::track::{Counters, EndReason, Options, Tracker};
use std::sync::Arc;

/// An IPv4 packet as a raw frame.
fn ip(source: u32, ident: u16, fragment: u16, proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0];
    packet[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    packet.extend(ident.to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, proto, 0, 0]);
    packet.extend(source.to_be_bytes());
    packet.extend([10, 0, 0, 1]);
    packet.extend(payload);
    packet
}

/// Feeds frames in batches of `size` and ends the table. Returns the tracker and the most flows that were open at once.
fn run(frames: impl Iterator<Item = (i64, Vec<u8>)>, options: Options, size: usize) -> (Tracker, usize) {
    let mut tracker = Tracker::new(options);
    let interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::RAW, 0))]);
    let mut most = 0;
    let mut decoded = Decoded::default();
    decoded.batch.interfaces = interfaces;
    let mut frames = frames.enumerate().peekable();
    while frames.peek().is_some() {
        decoded.batch.clear();
        for (number, (ts, bytes)) in frames.by_ref().take(size) {
            let meta =
                FrameMeta { ts, number: number as u64 + 1, frame_len: bytes.len() as u32, ..FrameMeta::default() };
            decoded.batch.push(meta, &bytes);
        }
        decoded.decode();
        tracker.batch(&decoded.batch, decoded.packets(), None);
        most = most.max(tracker.open().len());
    }
    tracker.finish();
    (tracker, most)
}

fn packets(tracker: &mut Tracker) -> u64 {
    let order = tracker.finished_order();
    order.iter().flat_map(|slot| &tracker.flow(*slot).sides).map(|side| side.pkts).sum()
}

#[test]
fn more_flows_than_the_bound_evict_the_quiet_ones_and_count_them() {
    const FRAMES: u32 = 2000;
    for max_flows in [1, 7, 100] {
        let frames = (0..FRAMES).map(|n| (i64::from(n), ip(0x0b00_0000 + n, 1, 0, 253, b"x")));
        let (mut tracker, most) = run(frames, Options { max_flows, ..Options::default() }, 64);
        assert!(most <= max_flows, "{most} of {max_flows}");
        assert_eq!(packets(&mut tracker), u64::from(FRAMES));
        let order = tracker.finished_order();
        let evicted = order.iter().filter(|slot| tracker.flow(**slot).end == EndReason::Evicted).count();
        assert_eq!(tracker.counters().evicted_flows, evicted as u64);
        assert!(evicted >= FRAMES as usize - max_flows);
    }
}

/// Two clocks at one point, ten minutes apart, that take turns: flows of the slow one are over at the sweeps in between, wherever
/// they stand in memory.
#[test]
fn which_flows_are_swept_does_not_depend_on_their_places() {
    let rows = |size: usize, release: bool| {
        let (mut tracker, mut rows) = (Tracker::new(Options::default()), Vec::new());
        let mut decoded = Decoded::default();
        decoded.batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::RAW, 0))]);
        let frames: Vec<u64> = (1..=120_000).collect();
        for frames in frames.chunks(size) {
            decoded.batch.clear();
            for number in frames {
                let slow = number / 15_000 % 2 == 0;
                let ts = (*number as i64 + if slow { 0 } else { 600_000 }) * 1_000_000;
                let source = 0x0b00_0000 + (number * 7919 % 3000) as u32 + (u32::from(slow) << 16);
                let bytes = ip(source, 1, 0, 17, &[0, 7, 0, 9, 0, 8, 0, 0]);
                let meta = FrameMeta { ts, number: *number, frame_len: bytes.len() as u32, ..FrameMeta::default() };
                decoded.batch.push(meta, &bytes);
            }
            decoded.decode();
            tracker.batch(&decoded.batch, decoded.packets(), None);
            if release {
                take(&mut tracker, &mut rows);
            }
        }
        tracker.finish();
        take(&mut tracker, &mut rows);
        rows.sort_unstable();
        rows
    };
    let all = rows(64, false);
    assert!(all.len() > 4000, "{} rows of 3,000 ends", all.len());
    for size in [64, 1000] {
        assert!(rows(size, true) == all, "batches of {size}");
    }
}

/// Takes the rows that have ended: first frame, packets and why.
fn take(tracker: &mut Tracker, rows: &mut Vec<(u64, u64, &'static str)>) {
    for slot in tracker.finished_order() {
        let flow = tracker.flow(slot);
        rows.push((flow.first_frame, flow.sides.iter().map(|side| side.pkts).sum(), flow.end.name()));
    }
    tracker.release();
}

#[test]
fn the_same_frames_give_the_same_rows_in_batches_of_any_size() {
    let rows = |size: usize| {
        let frames = (0..3000u32).map(|n| (i64::from(n / 7), ip(0x0b00_0000 + n * 7919 % 500, 1, 0, 253, b"x")));
        let (mut tracker, _) = run(frames, Options { max_flows: 50, ..Options::default() }, size);
        let order = tracker.finished_order();
        let row = |slot: &u32| {
            let flow = tracker.flow(*slot);
            (tracker.uid_of(flow), flow.first_frame, flow.last_frame, flow.end)
        };
        order.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(rows(1), rows(3000));
    assert_eq!(rows(13), rows(512));
}

#[test]
fn fragments_without_their_first_are_bounded_and_counted() {
    const FRAMES: u64 = 5000;
    let frames = (0..FRAMES).map(|n| (n as i64, ip(0x0b00_0000, n as u16, 100, 17, b"fragment")));
    let (mut tracker, _) = run(frames, Options { max_fragmented: 16, ..Options::default() }, 64);
    let counters = Counters { frames: FRAMES, flows: 1, orphan_fragments: FRAMES, ..tracker.counters() };
    assert_eq!(tracker.counters(), counters);
    assert!(counters.evicted_fragments >= FRAMES - 17); // the newest is followed before the oldest is given up
    assert_eq!(packets(&mut tracker), FRAMES);
}

#[test]
fn endless_fragments_of_one_datagram_are_bounded_and_counted() {
    const FRAMES: u64 = 70_000; // more than a fragment waits for its first
    let frames = (0..FRAMES).map(|n| (n as i64, ip(0x0b00_0000, 1, 100, 17, b"fragment")));
    let (mut tracker, _) = run(frames, Options::default(), 1000);
    assert_eq!(tracker.counters().orphan_fragments, FRAMES);
    assert_eq!(tracker.counters().flows, 1);
    assert_eq!(packets(&mut tracker), FRAMES);
}
