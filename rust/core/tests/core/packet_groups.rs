//! A table of packets is the same whether it goes straight into a Parquet file, from an input that is at hand or one that has to
//! be waited for, or comes as record batches, also when somebody stops before the end and when fragments wait for their flow
//! beyond a row group.
use arrow_array::{ArrayRef, RecordBatch, StringArray, cast::AsArray, types::Int32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sniffkit_core::frame::{FrameBatch, FrameMeta, InterfaceInfo, LinkType};
use sniffkit_core::source::{Source, SourceError, Warning};
use sniffkit_core::table::keep::Keep;
use sniffkit_core::table::parquet::ROW_GROUP;
use sniffkit_core::table::reader::{Request, TableReader};
use sniffkit_core::table::write::WriteError;
use sniffkit_core::track::Options;
use std::sync::Arc;

/// Frames in a batch.
const BATCH: u64 = 500;

/// So many Ethernet frames of several kinds.
struct Frames {
    sent: u64,
    all: u64,
    at_hand: bool,
}

impl Source for Frames {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<bool, SourceError> {
        batch.clear();
        batch.interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::ETHERNET, 0))]);
        let more = self.sent < self.all;
        for _ in 0..BATCH.min(self.all - self.sent) {
            self.sent += 1;
            let bytes = frame(self.sent);
            let (ts, frame_len) = (self.sent as i64 * 1000, bytes.len() as u32);
            batch.push(FrameMeta { ts, number: self.sent, frame_len, ..FrameMeta::default() }, &bytes);
        }
        Ok(more)
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        Vec::new()
    }

    fn at_hand(&self) -> Option<u64> {
        self.at_hand.then_some(1 << 30)
    }
}

fn udp(flow: u8, id: u16, fragment: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 36];
    packet.extend([id.to_be_bytes(), fragment.to_be_bytes()].concat());
    packet.extend([64, 17, 0, 0, 10, 0, 0, flow, 10, 0, 1, flow]);
    packet.extend([0x13, 0x88, 0, 53 + flow % 2, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    packet
}

/// The rest of a datagram comes ahead of its first fragment, across the end of the first row group.
const REST: u64 = ROW_GROUP as u64 - 3;
const FIRST: u64 = ROW_GROUP as u64 + 700;

fn frame(number: u64) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, (number % 9) as u8, 2, 0, 0, 0, 1, (number % 5) as u8];
    match number % 7 {
        _ if number == REST => bytes.extend([&[8, 0][..], &udp(200, 77, 2)].concat()),
        _ if number == FIRST => bytes.extend([&[8, 0][..], &udp(200, 77, 0x2000)].concat()),
        0 => bytes.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]),
        1 => bytes.extend([&[0x81, 0, 0, 5, 0x81, 0, 0, (number % 200) as u8, 8, 0][..], &udp(7, 1, 0)].concat()),
        2 => bytes.extend([8, 0, 0x45, 0, 0, 9]), // cut within the header
        _ => bytes.extend([&[8, 0][..], &udp((number % 100) as u8, number as u16, 0)].concat()),
    }
    bytes
}

fn table(all: u64, columns: Option<&[&str]>, at_hand: bool) -> TableReader {
    let columns = columns.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    let source = Box::new(Frames { sent: 0, all, at_hand });
    let request = Request { source, filter: None, columns, options: Options::default(), keep: Keep::default() };
    TableReader::packets(request).expect("columns of the table")
}

/// Dictionaries as text, and all rows of a column one behind the other.
fn rows(batches: &[RecordBatch], at: usize) -> ArrayRef {
    let plain = |array: &ArrayRef| match array.as_any_dictionary_opt() {
        Some(_) => {
            let texts = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().expect("texts");
            Arc::new(texts.into_iter().collect::<StringArray>()) as ArrayRef
        }
        None => array.clone(),
    };
    let arrays: Vec<ArrayRef> = batches.iter().map(|batch| plain(batch.column(at))).collect();
    arrow_select::concat::concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).expect("one type")
}

/// Writes a table, of whose frames somebody wants no more behind `stop`; returns its rows.
fn written(mut table: TableReader, stop: u64, name: &str) -> Vec<RecordBatch> {
    let path = std::env::temp_dir().join(format!("sniffkit-groups-{name}-{}.parquet", std::process::id()));
    let file = std::fs::File::create(&path).expect("a file");
    let count = table.write(file, |frames| frames < stop).expect("to write");
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).expect("it")).expect("a table");
    let batches: Vec<_> = reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
    std::fs::remove_file(path).expect("to remove it");
    assert_eq!(batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>(), count);
    batches
}

fn compare(all: u64, stop: u64, columns: Option<&[&str]>, name: &str) {
    for at_hand in [false, true] {
        let file = written(table(all, columns, at_hand), stop, name);
        let frames = file.iter().map(|batch| batch.num_rows() as u64).sum();
        let least = all.min(stop.checked_next_multiple_of(BATCH).unwrap_or(all));
        // Another thread may have read more by then.
        assert!(
            if at_hand { (least..=all).contains(&frames) } else { frames == least },
            "{name}: {frames}, not {least}"
        );
        let arrays: Vec<RecordBatch> = table(frames, columns, at_hand).map(|batch| batch.expect("rows")).collect();
        assert_eq!(arrays.iter().map(|batch| batch.num_rows() as u64).sum::<u64>(), frames);
        for (at, field) in arrays[0].schema().fields().iter().enumerate() {
            assert_eq!(&rows(&file, at), &rows(&arrays, at), "{name}: {}", field.name());
        }
    }
}

#[test]
fn a_file_has_the_rows_that_record_batches_have() {
    compare(ROW_GROUP as u64 + 2000, u64::MAX, None, "all");
    compare(3, u64::MAX, None, "few");
}

#[test]
fn what_was_not_followed_when_somebody_stopped_is_left_out() {
    for stop in [1, 4321, REST + 100, ROW_GROUP as u64 + 300, FIRST + 10] {
        compare(ROW_GROUP as u64 + 20_000, stop, None, &format!("stop-{stop}"));
    }
}

#[test]
fn any_columns_in_any_order() {
    compare(4000, u64::MAX, Some(&["uid", "ip_dst", "vlan_id", "uid", "frame_number", "ip_src"]), "uids");
    compare(4000, 1700, Some(&["malformed", "vlan_id", "eth_src", "ip_more_fragments"]), "no-uids");
}

#[test]
fn once_record_batches_were_taken_the_rest_goes_into_the_file() {
    let mut table = table(3000, None, true);
    let first = table.next().expect("rows").expect("rows");
    assert_eq!(first.num_rows() as u64, BATCH);
    let rest = written(table, u64::MAX, "rest");
    assert_eq!(rest.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, 3000 - BATCH);
}

#[test]
fn what_the_output_refuses_ends_every_thread() {
    let all = 2 * ROW_GROUP as u64 + 7;
    for at_hand in [false, true] {
        for mut room in [vec![0; 4], vec![0; 100_000], vec![0; 2_000_000]] {
            let refused = table(all, None, at_hand).write(room.as_mut_slice(), |_| true).expect_err("too little room");
            assert!(matches!(refused, WriteError::Parquet(_)), "{at_hand} {}: {refused}", room.len());
        }
    }
}
