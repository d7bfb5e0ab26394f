//! Columns that go straight into an encoder give the bytes that they give by way of an Arrow array.

use sniffkit_core::pipeline::Decoded;
use sniffkit_core::source::{CaptureFiles, Input, Source};
use sniffkit_core::table::column::{Column, Table};
use sniffkit_core::table::flows;
use sniffkit_core::table::packets::{self, There};
use sniffkit_core::table::parquet::chunk::{Chunk, Encoder, Spare};
use sniffkit_core::track::{Flow, Options, Tracker};

fn bytes(chunk: &Chunk) -> Vec<u8> {
    chunk.pages.iter().flat_map(|page| page.bytes()).copied().collect()
}

fn captures() -> CaptureFiles {
    let captures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../captures/");
    let inputs =
        ["demo/demo.pcapng", "web/mix.pcap", "dhcp/leases.pcap"].map(|name| Input::from(&*format!("{captures}{name}")));
    CaptureFiles::open(inputs).expect("captures of this repository")
}

fn encoder<T: Table>(column: &Column<T>) -> Encoder {
    Encoder::new(&column.kind.data_type(), 0, &mut Spare::default()).expect("a type that tables have")
}

fn close(encoder: Encoder) -> Chunk {
    encoder.close(&mut Spare::default()).expect("a small page")
}

/// Both ways over runs of rows; how many columns were compared.
fn compare<'a, T: Table>(columns: &[Column<T>], runs: &[T::Rows<'a>], rows: usize) -> usize {
    let mut compared = 0;
    for column in columns {
        let Some(direct) = column.direct else { continue };
        let (mut straight, mut round) = (encoder(column), encoder(column));
        for run in runs {
            direct(run, &mut straight);
            round.append(&(column.fill)(run));
        }
        let (straight, round) = (close(straight), close(round));
        assert_eq!(bytes(&straight), bytes(&round), "{}", column.name);
        assert_eq!((straight.values, straight.statistics), (round.values, round.statistics), "{}", column.name);
        assert!(straight.values >= rows, "{}", column.name); // a list has more values than rows
        compared += 1;
    }
    compared
}

#[test]
fn flows_both_ways() {
    let mut source = captures();
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
    let runs: Vec<_> = flows.chunks(67).map(|flows| flows::Rows::new(flows, &tracker)).collect();
    assert!(compare(&flows::COLUMNS, &runs, flows.len()) > 50);
}

#[test]
fn packets_both_ways_and_only_the_first_of_them() {
    let mut source = captures();
    let mut decoded = Decoded::default();
    while source.next_batch(&mut decoded.batch).expect("whole captures") {
        decoded.decode();
        let there = There::of(&decoded);
        let all = packets::Rows::new(&decoded, &there);
        assert_eq!(
            compare(packets::COLUMNS, &[packets::Rows::new(&decoded, &there)], all.len()),
            packets::COLUMNS.len()
        );
        let pieces: Vec<_> = all.pieces().collect();
        assert_eq!(compare(packets::COLUMNS, &pieces, all.len()), packets::COLUMNS.len());
        for column in packets::COLUMNS {
            let direct = column.direct.expect("checked above");
            let (mut whole, mut short) = (encoder(column), encoder(column));
            pieces.iter().for_each(|piece| direct(piece, &mut whole));
            pieces.iter().take(1).for_each(|piece| direct(piece, &mut short));
            whole.truncate(pieces[0].len());
            let (whole, short) = (close(whole), close(short));
            assert_eq!(bytes(&whole), bytes(&short), "{}", column.name);
            assert_eq!((whole.values, whole.statistics), (short.values, short.statistics), "{}", column.name);
        }
    }
}
