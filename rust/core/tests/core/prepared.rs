//! What the thread that decodes prepares changes nothing of the flows.

use sniffkit_core::app::Wants;
use sniffkit_core::pipeline::Decoded;
use sniffkit_core::source::{CaptureFiles, Input, ReadOptions, Source};
use sniffkit_core::track::{Options, Tracker};
use std::path::PathBuf;

/// All flows as text. `prepared` says of each batch whether it is prepared.
fn flows(captures: &[PathBuf], prepared: impl Fn(usize) -> bool) -> Vec<String> {
    let streams = Wants { facts: true, ..Wants::default() };
    let mut tracker = Tracker::new(Options { streams, uid_per_packet: true, ..Options::default() });
    let mut preparer = tracker.preparer();
    let (mut decoded, mut uids) = (Decoded::default(), Vec::new());
    let inputs = captures.iter().map(|path| Input::from(path.clone()));
    let options = ReadOptions { chunk: 1 << 14, ..ReadOptions::default() }; // many batches of each
    let mut source = CaptureFiles::with_options(inputs, options).expect("captures");
    let mut batches = 0;
    while source.next_batch(&mut decoded.batch).expect("captures that can be read") {
        decoded.decode();
        if prepared(batches) {
            decoded.prepare(&mut preparer);
        } else {
            preparer.pass(&decoded.batch);
        }
        decoded.account(&mut tracker, Some(&mut uids));
        batches += 1;
    }
    assert!(batches > 20);
    tracker.finish();
    let slots = tracker.finished_order();
    slots.iter().map(|slot| format!("{:?}", tracker.flow(*slot))).chain([format!("{uids:?}")]).collect()
}

#[test]
fn flows_are_the_same_whoever_prepares_them() {
    let captures = crate::captures::of(&["pcap", "pcapng"]);
    let plain = flows(&captures, |_| false);
    for fact in ["http_host", "dns_query"] {
        let named = plain.iter().filter(|flow| flow.contains(&format!("{fact}: Some")));
        assert!(named.count() > 0, "{fact}");
    }
    for prepared in [flows(&captures, |_| true), flows(&captures, |batch| batch % 3 == 1)] {
        for (prepared, plain) in prepared.iter().zip(&plain) {
            assert_eq!(prepared, plain);
        }
        assert_eq!(prepared.len(), plain.len());
    }
}
