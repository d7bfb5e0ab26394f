//! Frames that stand in blocks already, as the live ring lays them out.

use super::*;

/// Frames of these lengths on two interfaces, in blocks or not.
fn frames(lengths: &[usize], in_blocks: bool) -> FrameBatch {
    let interfaces = Arc::new(vec![veth("ns1", "veth1"), veth("ns2", "veth2")]);
    let mut batch = FrameBatch { interfaces, in_blocks, ..FrameBatch::default() };
    for (n, len) in (1..).zip(lengths) {
        let bytes = vec![n as u8; *len];
        let (head, rest) = bytes.split_at(len / 3);
        let mut meta = frame(n, (n % 3 % 2) as u32);
        if n % 4 == 0 {
            meta.direction = Direction::Unknown;
        }
        batch.push_parts(meta, [head, &[], rest]);
    }
    assert_eq!(batch.in_blocks, in_blocks);
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn make_the_same_file(
        lengths in proptest::collection::vec(0..3_000usize, 6..100),
        lost in proptest::collection::vec(0..120usize, 0..4),
        moved in proptest::collection::vec((0..120usize, 0..120usize), 0..3),
        max_bytes in proptest::option::of(1_000..50_000u64),
        format in prop_oneof![Just(Format::Pcapng), Just(Format::Pcap(Resolution::Nanos))],
    ) {
        let files = [false, true].map(|in_blocks| {
            let mut batch = frames(&lengths, in_blocks);
            for (a, b) in &moved {
                let count = batch.frames.len();
                batch.frames.swap(a % count, b % count);
            }
            for at in &lost {
                let count = batch.frames.len();
                batch.frames.remove(at % count);
            }
            let disk = Disk::new(usize::MAX);
            let rotation = Rotation { max_bytes, ..Rotation::default() };
            let frames = write_all(&disk, WriteOptions { format, rotation, ..WriteOptions::default() }, &batch);
            assert_eq!(frames.unwrap(), batch.frames.len() as u64);
            disk.names().into_iter().map(|name| (disk.file(&name), name)).collect::<Vec<_>>()
        });
        prop_assert!(files[0] == files[1]);
    }
}

#[test]
fn a_disk_that_fills_up_leaves_a_sound_file() {
    let batch = frames(&[1_400; 100], true);
    let unlimited = Disk::new(usize::MAX);
    write_all(&unlimited, WriteOptions::default(), &batch).unwrap();
    let size = unlimited.file("x").len();
    assert!(size > 3 * writer::RUN, "long enough to be written from where it is");
    let mut most = 0;
    for room in (700..size - 300).step_by(491) {
        let disk = Disk::new(room);
        let mut writer =
            CaptureWriter::with_opener("x", WriteOptions::default(), &batch.interfaces, NOW, disk.opener()).unwrap();
        let Err(WriteError::Io { frames_lost, error, .. }) = writer.write_batch(&batch) else { panic!("room {room}") };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let (kept, _, warnings) = read(disk.file("x"));
        assert_eq!(warnings, 0, "room {room}");
        assert!(kept == written(&batch)[..kept.len()], "room {room}");
        assert_eq!(kept.len() as u64 + frames_lost, batch.frames.len() as u64, "room {room}");
        assert_eq!(writer.written().sum::<u64>(), kept.len() as u64);
        most = most.max(kept.len());
    }
    assert!(most > 90, "{most}");
}

#[test]
fn a_time_that_no_block_can_hold_leaves_the_batch_without_blocks() {
    let mut batch = frames(&[60], true);
    batch.push(FrameMeta { ts: -1, ..frame(2, 0) }, &[7; 60]);
    assert!(!batch.in_blocks);
    assert_eq!(batch.bytes(&batch.frames[1]), [7; 60]);
}
