//! A file that several threads read, a piece each, gives the batches that it gives one thread.

use proptest::prelude::*;
use sniffkit_core::frame::{FrameBatch, FrameMeta};
use sniffkit_core::source::{CaptureFiles, Input, Piece, ReadOptions, Source, Warning};
use std::path::{Path, PathBuf};

/// The frames of each batch that has some, with their bytes; the warnings; the error.
type Found = (Vec<Vec<(FrameMeta, Vec<u8>)>>, Vec<Warning>, Option<String>);

fn note(found: &mut Found, batch: &FrameBatch) {
    assert!(batch.frames.iter().all(|meta| (meta.interface as usize) < batch.interfaces.len()));
    // Where a frame stands in the buffer says nothing about the capture.
    let frame = |meta: &FrameMeta| (FrameMeta { offset: 0, ..*meta }, batch.bytes(meta).to_vec());
    if !batch.frames.is_empty() {
        found.0.push(batch.frames.iter().map(frame).collect());
    }
}

fn open(files: &[PathBuf], chunk: usize) -> CaptureFiles {
    let inputs = files.iter().map(|path| Input::from(path.clone()));
    CaptureFiles::with_options(inputs, ReadOptions { chunk, ..ReadOptions::default() }).expect("captures")
}

fn one_after_the_other(files: &[PathBuf], chunk: usize) -> Found {
    let (mut found, mut files) = (Found::default(), open(files, chunk));
    let mut batches = [FrameBatch::default(), FrameBatch::default(), FrameBatch::default()];
    for at in 0.. {
        // One is used for the first time whatever is left of the input.
        batches[2] = FrameBatch::default();
        let batch = &mut batches[at % 3];
        match files.next_batch(batch) {
            Ok(true) => note(&mut found, batch),
            Ok(false) => break,
            Err(error) => {
                found.2 = Some(error.to_string());
                break;
            }
        }
    }
    found.1 = files.take_warnings();
    found
}

/// As so many threads do that are always in each other's way: the last piece that was given out is read first.
fn beside_each_other(files: &[PathBuf], chunk: usize, threads: usize) -> Found {
    let (mut found, mut files) = (Found::default(), open(files, chunk));
    let mut batches: Vec<FrameBatch> = (0..threads).map(|_| FrameBatch::default()).collect();
    let mut given = 0;
    'input: loop {
        let mut pieces: Vec<Piece> = Vec::new();
        while pieces.len() < threads && found.2.is_none() {
            match files.next_piece() {
                Ok(Some(piece)) => pieces.push(piece),
                Ok(None) => break,
                Err(error) => found.2 = Some(error.to_string()),
            }
        }
        if pieces.is_empty() {
            break;
        }
        for (piece, batch) in pieces.iter_mut().zip(&mut batches).rev() {
            piece.read(&mut batch.data);
        }
        for (piece, batch) in pieces.into_iter().zip(&mut batches) {
            assert_eq!(piece.number, given);
            given += 1;
            match files.take_piece(piece, batch) {
                Ok(()) => note(&mut found, batch),
                Err(error) => {
                    found.2 = Some(error.to_string());
                    break 'input;
                }
            }
        }
    }
    found.1 = files.take_warnings();
    found
}

fn seeds() -> Vec<PathBuf> {
    let folder = |target| Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = ["pcap", "pcapng"].into_iter().flat_map(|target| folder(target).read_dir().expect("the kept corpus"));
    let mut seeds: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    seeds.retain(|path| !path.ends_with("gzip"));
    seeds.sort();
    seeds
}

#[test]
fn every_capture_gives_the_same_batches() {
    let all = [crate::captures::of(&["pcap", "pcapng"]), seeds()].concat();
    for (files, chunk) in [(&all, 1000), (&all, 1 << 17), (&seeds(), 1), (&seeds(), 13)] {
        let found = one_after_the_other(files, chunk);
        assert!(found.0.len() >= files.len() / 2 && found.1.len() > 3 && found.2.is_none(), "{:?}", found.1);
        for threads in [1, 2, 5] {
            assert!(beside_each_other(files, chunk, threads) == found, "{chunk} bytes, {threads} threads");
        }
    }
}

/// A file of its own for a test.
fn file(name: &str, data: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("sniffkit-{}-{name}", std::process::id()));
    std::fs::write(&path, data).expect("room for a small file");
    path
}

/// Records much longer than a piece, and than the room in front of one.
#[test]
fn a_long_record_is_put_together() {
    let mut data = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0".to_vec();
    for len in [60_u32, 262_144, 1, 200_000, 70_000, 0, 262_143] {
        data.extend([1, 0, 0, 0, 2, 0, 0, 0]);
        data.extend(len.to_le_bytes());
        data.extend(len.to_le_bytes());
        data.extend((0..len).map(|at| (at % 251) as u8));
    }
    for cut in [data.len(), data.len() - 1, 100_000] {
        let files = [file("long.pcap", &data[..cut])];
        for chunk in [500, 4096, 1 << 16, 1 << 17] {
            let found = one_after_the_other(&files, chunk);
            assert_eq!(found.1.len(), usize::from(cut < data.len()));
            for threads in [1, 3] {
                assert!(beside_each_other(&files, chunk, threads) == found, "{chunk} bytes, {threads} threads");
            }
        }
        std::fs::remove_file(&files[0]).expect("its own");
    }
}

/// What comes to a file behind the piece that met its end is not taken for what follows that piece.
#[test]
fn a_file_that_grows_has_no_gap() {
    let path = file("growing.pcap", &std::fs::read(&seeds()[0]).expect("a seed"));
    let whole = one_after_the_other(std::slice::from_ref(&path), 64);
    let (mut files, mut found) = (open(std::slice::from_ref(&path), 64), Found::default());
    let mut pieces: Vec<Piece> = (0..20).map_while(|_| files.next_piece().expect("a file")).collect();
    let mut batches: Vec<FrameBatch> = pieces.iter().map(|_| FrameBatch::default()).collect();
    for (at, (piece, batch)) in pieces.iter_mut().zip(&mut batches).enumerate() {
        if at == 10 {
            std::fs::write(&path, vec![1; 2000]).expect("room");
        }
        piece.read(&mut batch.data);
    }
    for (piece, batch) in pieces.into_iter().zip(&mut batches) {
        files.take_piece(piece, batch).expect("a capture");
        note(&mut found, batch);
    }
    found.1 = files.take_warnings();
    assert!(found == whole && !found.0.is_empty());
    assert!(files.next_piece().expect("it has ended").is_none());
    std::fs::remove_file(&path).expect("its own");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Captures with a few bytes changed, and cut; some are none any more.
    #[test]
    fn whatever_is_in_it(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        chunk in 1..300_usize,
    ) {
        let seeds = seeds();
        let mut data = std::fs::read(&seeds[seed.index(seeds.len())]).expect("a seed");
        for (place, value) in changes {
            let at = 4 + place.index(data.len() - 4); // behind what tells that it is a capture
            data[at] = value;
        }
        data.truncate(24 + cut.index(data.len() - 23));
        let files = [file("changed", &data)];
        let sound = CaptureFiles::open(files.iter().map(|path| Input::from(path.clone()))).is_ok();
        if sound {
            let found = one_after_the_other(&files, chunk);
            for threads in [1, 2, 4] {
                prop_assert!(beside_each_other(&files, chunk, threads) == found, "{threads} threads");
            }
        }
        std::fs::remove_file(&files[0]).expect("its own");
    }
}
