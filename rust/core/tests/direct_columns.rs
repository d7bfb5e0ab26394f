//! Columns that go straight into an encoder give the bytes that they give by way of an Arrow array.

use sniffkit_core::pipeline::Decoded;
use sniffkit_core::source::{CaptureFiles, Input, Source};
use sniffkit_core::table::flows::{COLUMNS, Rows};
use sniffkit_core::table::parquet::chunk::{Encoder, Spare};
use sniffkit_core::track::{Flow, Options, Tracker};

#[test]
fn both_ways_give_the_same_bytes() {
    let captures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../captures/");
    let inputs =
        ["demo/demo.pcapng", "web/mix.pcap", "dhcp/leases.pcap"].map(|name| Input::from(&*format!("{captures}{name}")));
    let mut source = CaptureFiles::open(inputs).expect("captures of this repository");
    let mut tracker = Tracker::new(Options::default());
    let mut decoded = Decoded::default();
    while source.next_batch(&mut decoded.batch).expect("whole captures") {
        decoded.decode();
        tracker.batch(&decoded.batch, decoded.packets(), None);
    }
    tracker.finish();
    let slots = tracker.finished_order();
    // More rows than a word of bits has, and not a multiple of it.
    let flows: Vec<&Flow> = slots.iter().map(|slot| tracker.flow(*slot)).cycle().take(201).collect();
    assert!(slots.len() > 5);
    let mut compared = 0;
    for column in COLUMNS.iter() {
        let Some(direct) = column.direct else { continue };
        let mut spare = Spare::default();
        let mut encoder = || Encoder::new(&column.kind.data_type(), 0, &mut spare).expect("a type that tables have");
        let (mut straight, mut round) = (encoder(), encoder());
        for run in flows.chunks(67) {
            let rows = Rows { flows: run, tracker: &tracker };
            direct(&rows, &mut straight);
            round.append(&(column.fill)(&rows));
        }
        let [straight, round] = [straight, round].map(|encoder| encoder.close(&mut spare).expect("a small page"));
        assert_eq!(straight.bytes, round.bytes, "{}", column.name);
        assert_eq!((straight.values, straight.statistics), (round.values, round.statistics), "{}", column.name);
        assert_eq!(straight.values, flows.len());
        compared += 1;
    }
    assert!(compared > 50);
}
