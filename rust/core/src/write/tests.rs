//! The writer against the reader, and against outputs that fail.

mod in_blocks;

use super::*;
use crate::frame::{Direction, FrameBatch, FrameMeta, InterfaceInfo, Interfaces, LinkType};
use crate::source::{CaptureFiles, Input, Source};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Write};
use std::sync::{Arc, Mutex};

const NOW: i64 = 1_600_000_000_000_000_000;

/// Files in memory, by name; `room` is how many bytes the disk still takes.
#[derive(Clone)]
struct Disk {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    room: Arc<Mutex<usize>>,
}

struct DiskFile {
    disk: Disk,
    name: String,
}

impl Disk {
    fn new(room: usize) -> Self {
        Self { files: Arc::default(), room: Arc::new(Mutex::new(room)) }
    }

    fn opener(&self) -> writer::Opener {
        let disk = self.clone();
        Box::new(move |name| {
            disk.files.lock().unwrap().insert(name.to_owned(), Vec::new());
            Ok(Box::new(DiskFile { disk: disk.clone(), name: name.to_owned() }))
        })
    }

    fn file(&self, name: &str) -> Vec<u8> {
        self.files.lock().unwrap()[name].clone()
    }

    fn names(&self) -> Vec<String> {
        self.files.lock().unwrap().keys().cloned().collect()
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.disk.room.lock().unwrap();
        let n = bytes.len().min(*room);
        if n == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        *room -= n;
        self.disk.files.lock().unwrap().get_mut(&self.name).unwrap().extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for DiskFile {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.disk.files.lock().unwrap().get_mut(&self.name).unwrap().truncate(len as usize);
        Ok(())
    }
}

fn veth(netns: &str, name: &str) -> Arc<InterfaceInfo> {
    Arc::new(InterfaceInfo {
        name: Some(name.to_owned()),
        netns: Some(netns.to_owned()),
        description: Some("/run/netns/x inode 4026532000".to_owned()),
        filter: Some("tcp port 80".to_owned()),
        ..InterfaceInfo::anonymous(LinkType::ETHERNET, SNAP_LEN)
    })
}

fn frame(n: u64, interface: u32) -> FrameMeta {
    FrameMeta {
        ts: NOW + n as i64 * 1_000_000_001,
        number: n,
        frame_len: 1_500,
        interface,
        direction: if n.is_multiple_of(2) { Direction::In } else { Direction::Out },
        checksum_offloaded: n.is_multiple_of(3),
        ..FrameMeta::default()
    }
}

/// `count` frames of 60 bytes on two interfaces.
fn batch(count: u64) -> FrameBatch {
    let interfaces = Arc::new(vec![veth("ns1", "veth1"), veth("ns2", "veth2")]);
    let mut batch = FrameBatch { interfaces, ..FrameBatch::default() };
    for n in 1..=count {
        batch.push(frame(n, (n % 2) as u32), &[n as u8; 60]);
    }
    batch
}

/// What a file holds: frames with their bytes, interfaces, warnings.
fn read(bytes: Vec<u8>) -> (Vec<(FrameMeta, Vec<u8>)>, Interfaces, usize) {
    let mut files = CaptureFiles::open([Input::Reader("memory".to_owned(), Box::new(Cursor::new(bytes)))]).unwrap();
    let (mut batch, mut frames) = (FrameBatch::default(), Vec::new());
    while files.next_batch(&mut batch).unwrap() {
        frames.extend(batch.frames.iter().map(|f| (FrameMeta { offset: 0, ..*f }, batch.bytes(f).to_vec())));
    }
    (frames, batch.interfaces, files.take_warnings().len())
}

fn written(batch: &FrameBatch) -> Vec<(FrameMeta, Vec<u8>)> {
    batch.frames.iter().map(|f| (FrameMeta { offset: 0, ..*f }, batch.bytes(f).to_vec())).collect()
}

fn write_all(disk: &Disk, options: WriteOptions, batch: &FrameBatch) -> Result<u64, WriteError> {
    let mut writer = CaptureWriter::with_opener("x", options, &batch.interfaces, NOW, disk.opener())?;
    assert_eq!(writer.write_batch(batch)?, Written::All);
    writer.finish(NOW + 5)
}

#[test]
fn pcapng_comes_back_as_it_was() {
    let (disk, batch) = (Disk::new(usize::MAX), batch(20));
    assert_eq!(write_all(&disk, WriteOptions::default(), &batch).unwrap(), 20);
    let (frames, interfaces, warnings) = read(disk.file("x"));
    assert_eq!(frames, written(&batch));
    assert_eq!(interfaces, batch.interfaces);
    assert_eq!(warnings, 0);
}

#[test]
fn pcap_keeps_frames_and_times() {
    for (resolution, unit) in [(Resolution::Nanos, 1), (Resolution::Micros, 1_000)] {
        let (disk, batch) = (Disk::new(usize::MAX), batch(5));
        let options = WriteOptions { format: Format::Pcap(resolution), ..WriteOptions::default() };
        write_all(&disk, options, &batch).unwrap();
        let (frames, interfaces, _) = read(disk.file("x"));
        for ((got, bytes), (expected, sent)) in frames.iter().zip(written(&batch)) {
            assert_eq!((got.ts, got.frame_len, bytes), (expected.ts / unit * unit, 1_500, &sent));
        }
        assert_eq!(frames.len(), 5);
        assert_eq!(*interfaces[0], InterfaceInfo::anonymous(LinkType::ETHERNET, SNAP_LEN));
    }
}

#[test]
fn pcap_refuses_a_second_link_type() {
    let mut batch = batch(1);
    Arc::make_mut(&mut batch.interfaces).push(Arc::new(InterfaceInfo::anonymous(LinkType::RAW, 0)));
    batch.push(frame(2, 2), &[0x45; 20]);
    let options = WriteOptions { format: Format::Pcap(Resolution::Nanos), ..WriteOptions::default() };
    let error = write_all(&Disk::new(usize::MAX), options, &batch).unwrap_err().to_string();
    assert_eq!(
        error,
        "x: pcap holds one link type, not ns1/veth1 (link type 1) and an interface (link type 101): write pcapng"
    );
}

#[test]
fn interfaces_may_come_later() {
    let disk = Disk::new(usize::MAX);
    let batch = batch(2);
    let mut writer =
        CaptureWriter::with_opener("x", WriteOptions::default(), &Interfaces::default(), NOW, disk.opener()).unwrap();
    assert_eq!(writer.write_batch(&batch).unwrap(), Written::All);
    let mut more = batch;
    Arc::make_mut(&mut more.interfaces).push(veth("ns3", "veth3"));
    more.clear();
    more.push(frame(3, 2), b"late");
    assert_eq!(writer.write_batch(&more).unwrap(), Written::All);
    writer.finish(NOW).unwrap();
    let (frames, interfaces, _) = read(disk.file("x"));
    assert_eq!(frames.len(), 3);
    assert_eq!(interfaces, more.interfaces);
}

#[test]
fn an_empty_capture_is_a_sound_file() {
    for format in [Format::Pcapng, Format::Pcap(Resolution::Micros)] {
        let disk = Disk::new(usize::MAX);
        write_all(&disk, WriteOptions { format, ..WriteOptions::default() }, &FrameBatch::default()).unwrap();
        assert_eq!(read(disk.file("x")).0.len(), 0);
    }
}

#[test]
fn the_file_is_whole_after_every_flush() {
    let disk = Disk::new(usize::MAX);
    let mut batch = batch(0);
    let mut writer =
        CaptureWriter::with_opener("x", WriteOptions::default(), &batch.interfaces, NOW, disk.opener()).unwrap();
    for n in 1..=30 {
        assert_eq!(read(disk.file("x")).2, 0);
        batch.clear();
        batch.push(frame(n, 0), &vec![7; n as usize * 1_000]);
        assert_eq!(writer.write_batch(&batch).unwrap(), Written::All);
        writer.flush().unwrap();
        assert_eq!(read(disk.file("x")).0.len(), n as usize);
    }
    // Dropped without an end, as by a panic: only the statistics are missing.
    drop(writer);
    assert_eq!(read(disk.file("x")).0.len(), 30);
}

#[test]
fn a_full_disk_leaves_a_sound_file_at_every_size() {
    let batch = batch(6);
    for format in [Format::Pcapng, Format::Pcap(Resolution::Nanos)] {
        let unlimited = Disk::new(usize::MAX);
        write_all(&unlimited, WriteOptions { format, ..WriteOptions::default() }, &batch).unwrap();
        let size = unlimited.file("x").len();
        let mut most = 0;
        for room in 0..size {
            let disk = Disk::new(room);
            let error = write_all(&disk, WriteOptions { format, ..WriteOptions::default() }, &batch).unwrap_err();
            let WriteError::Io { frames_lost, error, .. } = error else { panic!("{error}") };
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            let bytes = disk.file("x");
            assert!(bytes.len() <= room);
            if !bytes.is_empty() {
                let (frames, _, warnings) = read(bytes);
                assert_eq!(warnings, 0, "room {room}");
                for ((got, bytes), (expected, sent)) in frames.iter().zip(written(&batch)) {
                    assert_eq!((got.ts, bytes), (expected.ts, &sent));
                }
                most = most.max(frames.len());
                if frames_lost > 0 {
                    assert_eq!(frames.len() as u64 + frames_lost, 6, "room {room}");
                }
            }
        }
        assert!(most >= 5, "{format:?}: {most}");
    }
}

#[test]
fn nothing_is_written_after_an_error() {
    let (disk, batch) = (Disk::new(600), batch(1));
    let mut writer =
        CaptureWriter::with_opener("x", WriteOptions::default(), &batch.interfaces, NOW, disk.opener()).unwrap();
    *disk.room.lock().unwrap() = 10;
    let _ = writer.write_batch(&batch).unwrap();
    assert_eq!(writer.flush().unwrap_err().to_string(), "x: no storage space (1 frame not written)");
    *disk.room.lock().unwrap() = 1_000;
    assert!(writer.write_batch(&batch).unwrap_err().to_string().contains("after the earlier error"));
    assert_eq!(writer.frames(), 0);
    assert_eq!(writer.finish(NOW).unwrap(), 0);
    assert_eq!(read(disk.file("x")).2, 0);
}

#[test]
fn a_real_full_device_is_named() {
    let batch = batch(1);
    match CaptureWriter::create("/dev/full", WriteOptions::default(), &batch.interfaces, NOW) {
        Err(error) => assert_eq!(error.to_string(), "/dev/full: No space left on device"),
        Ok(_) => panic!("/dev/full took something"),
    }
}

#[test]
fn a_missing_directory_is_named() {
    let result = CaptureWriter::create("/no/such/dir/x", WriteOptions::default(), &Interfaces::default(), NOW);
    let error = result.map(drop).unwrap_err().to_string();
    assert_eq!(error, "/no/such/dir/x: there is no directory /no/such/dir");
}

#[test]
fn standard_output_is_not_rotated() {
    let rotation = Rotation { max_bytes: Some(1), ..Rotation::default() };
    let options = WriteOptions { rotation, ..WriteOptions::default() };
    let result = CaptureWriter::create("-", options, &Interfaces::default(), NOW);
    assert_eq!(result.map(drop).unwrap_err().to_string(), "-: standard output cannot be rotated");
}

#[test]
fn every_rotated_file_is_complete() {
    for format in [Format::Pcapng, Format::Pcap(Resolution::Nanos)] {
        let (disk, batch) = (Disk::new(usize::MAX), batch(50));
        let rotation = Rotation { max_bytes: Some(1_000), ..Rotation::default() };
        write_all(&disk, WriteOptions { format, rotation, ..WriteOptions::default() }, &batch).unwrap();
        assert!(disk.names().len() > 3);
        let mut count = 0;
        for name in disk.names() {
            let (frames, interfaces, warnings) = read(disk.file(&name));
            assert_eq!((warnings, interfaces.len()), (0, if format == Format::Pcapng { 2 } else { 1 }), "{name}");
            assert!(!frames.is_empty());
            // The frame that made the file too large was the last; the statistics come on top.
            assert!(disk.file(&name).len() < 1_000 + 150 + 400, "{name}");
            count += frames.len();
        }
        assert_eq!(count, 50);
    }
}

#[test]
fn a_ring_keeps_the_newest_and_numbers_run_through_interfaces() {
    let (disk, batch) = (Disk::new(usize::MAX), batch(50));
    let rotation = Rotation { max_bytes: Some(1_000), max_files: Some(3), ..Rotation::default() };
    write_all(&disk, WriteOptions { rotation, ..WriteOptions::default() }, &batch).unwrap();
    assert_eq!(disk.names(), ["x0", "x1", "x2"]);
    let mut times: Vec<i64> =
        disk.names().iter().flat_map(|name| read(disk.file(name)).0).map(|(frame, _)| frame.ts).collect();
    times.sort_unstable();
    assert_eq!(times.last(), Some(&batch.frames[49].ts));
    assert_eq!(times[0], batch.frames[50 - times.len()].ts);
}

#[test]
fn the_number_of_time_slots_ends_the_capture() {
    let (disk, batch) = (Disk::new(usize::MAX), batch(50));
    let name_at: rotation::NameAt = |name, seconds| name.replace("%S", &(seconds % 60).to_string());
    let rotation = Rotation { max_seconds: Some(10), max_files: Some(2), name_at: Some(name_at), max_bytes: None };
    let options = WriteOptions { rotation, ..WriteOptions::default() };
    let mut writer = CaptureWriter::with_opener("%S.pcapng", options, &batch.interfaces, NOW, disk.opener()).unwrap();
    assert_eq!(writer.write_batch(&batch).unwrap(), Written::Done(19));
    assert_eq!((writer.frames(), writer.file_count(), writer.name()), (19, 2, "50.pcapng"));
    writer.finish(NOW).unwrap();
    assert_eq!(disk.names(), ["40.pcapng", "50.pcapng"]);
    assert_eq!(read(disk.file("40.pcapng")).0.len(), 9);
}

#[test]
fn a_time_before_1970_is_refused() {
    let mut batch = batch(1);
    batch.frames[0].ts = -1;
    let error = write_all(&Disk::new(usize::MAX), WriteOptions::default(), &batch).unwrap_err();
    assert_eq!(error.to_string(), "x: a frame of the time -1 ns cannot be written");
}

#[test]
fn a_link_type_beyond_16_bits_is_refused() {
    let interfaces = Arc::new(vec![Arc::new(InterfaceInfo::anonymous(LinkType::CUSTOM_BLOCK, 0))]);
    let batch = FrameBatch { interfaces, ..FrameBatch::default() };
    let error = write_all(&Disk::new(usize::MAX), WriteOptions::default(), &batch).unwrap_err();
    assert!(error.to_string().contains("has no number in pcapng"));
}

#[test]
fn long_comments_become_several() {
    let (disk, batch) = (Disk::new(usize::MAX), batch(1));
    let comments = vec!["é".repeat(100_000), String::new(), "topology".to_owned()];
    let section = SectionInfo { comments, os: Some("Linux 6.1".to_owned()), ..SectionInfo::default() };
    write_all(&disk, WriteOptions { section, ..WriteOptions::default() }, &batch).unwrap();
    let bytes = disk.file("x");
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(text.matches('é').count(), 100_000);
    assert_eq!(read(bytes).2, 0);
}

prop_compose! {
    fn any_frame()(
        ts in 0..=i64::MAX,
        frame_len in any::<u32>(),
        interface in 0..3_u32,
        direction in prop_oneof![Just(Direction::Unknown), Just(Direction::In), Just(Direction::Out)],
        checksum_offloaded in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) -> (FrameMeta, Vec<u8>) {
        (FrameMeta { ts, frame_len, interface, direction, checksum_offloaded, ..FrameMeta::default() }, bytes)
    }
}

prop_compose! {
    fn any_interface()(
        name in proptest::option::of("[a-z][a-z0-9.@-]{0,14}"),
        netns in proptest::option::of("[a-zA-Z0-9._-]{1,20}"),
        description in proptest::option::of("[^\0]{0,40}"),
        filter in proptest::option::of("[^\0]{0,40}"),
        link_type in any::<u16>(),
    ) -> Arc<InterfaceInfo> {
        // Without a name there is no place for the namespace.
        let netns = netns.filter(|_| name.is_some());
        // Types with a header that is not counted come back shorter, and some allow longer frames.
        let link_type = LinkType(u32::from(if (120..280).contains(&link_type) { 1 } else { link_type }));
        Arc::new(InterfaceInfo { name, netns, description, filter, link_type, snap_len: SNAP_LEN })
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        frames in proptest::collection::vec(any_frame(), 0..40),
        interfaces in proptest::collection::vec(any_interface(), 3),
    ) {
        let mut batch = FrameBatch { interfaces: Arc::new(interfaces), ..FrameBatch::default() };
        for ((meta, bytes), number) in frames.iter().zip(1..) {
            batch.push(FrameMeta { number, ..*meta }, bytes);
        }
        let disk = Disk::new(usize::MAX);
        write_all(&disk, WriteOptions::default(), &batch).unwrap();
        let (read, interfaces, warnings) = read(disk.file("x"));
        prop_assert_eq!(read, written(&batch));
        prop_assert_eq!(warnings, 0);
        if !frames.is_empty() {
            prop_assert_eq!(interfaces, batch.interfaces);
        }
    }
}
