use super::*;
use std::sync::atomic::AtomicUsize;

/// Batches of one frame each, so many; then the end, or an error.
struct Frames {
    left: u64,
    fails: bool,
    bytes: Option<u64>,
}

impl Source for Frames {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<bool, SourceError> {
        batch.frames.clear();
        if self.left == 0 {
            let error = || SourceError::Format { input: "-".to_owned(), what: "no more".to_owned() };
            return if self.fails { Err(error()) } else { Ok(false) };
        }
        batch.frames.push(FrameMeta { number: self.left, ..FrameMeta::default() });
        self.left -= 1;
        Ok(true)
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        vec![Warning { input: "-".to_owned(), offset: Some(0), what: "odd".to_owned() }]
    }

    fn at_hand(&self) -> Option<u64> {
        self.bytes
    }
}

#[test]
fn a_thread_works_ahead_unless_little_is_at_hand() {
    for (bytes, little, ahead) in [
        (Some(SHORT), true, false),
        (Some(SHORT), false, true),
        (Some(SHORT + 1), true, true),
        (None, true, true), // a pipe, which has to be waited for, or packed
    ] {
        let source = Box::new(Frames { left: 1, fails: false, bytes });
        let pipeline = Pipeline::start_share(source, None, None, Box::new(|_| ()), little);
        assert_eq!(pipeline.is_ahead(), ahead, "{bytes:?} {little}");
    }
}

#[test]
fn every_batch_comes_in_order_whoever_fills_it() {
    // More shares than any machine has processors: the second is filled by whoever wants a batch.
    for share in [None, Share::new(0, 1 << 20)] {
        for fails in [false, true] {
            let source = Box::new(Frames { left: 20, fails, bytes: Some(1) });
            let made = Box::new(|decoded: &mut Decoded| decoded.batch.frames.len());
            let mut pipeline = Pipeline::start_share(source, None, share, made, false);
            assert_eq!(pipeline.is_ahead(), share.is_none());
            let mut numbers = Vec::new();
            loop {
                match pipeline.receive() {
                    Received::Batch(decoded, made) => {
                        assert_eq!(made, 1);
                        numbers.push(decoded.batch.frames[0].number);
                        pipeline.recycle(decoded);
                    }
                    Received::Waiting => {}
                    Received::End => break,
                }
            }
            assert_eq!(numbers, (1..=20).rev().collect::<Vec<_>>());
            assert!(matches!(pipeline.receive(), Received::End));
            assert_eq!(pipeline.end().map(|warnings| warnings.len()).ok(), (!fails).then_some(1));
        }
    }
}

/// What a pipeline of so many batches, read by this thread and `others`, hands on until `each` has had enough; and what
/// became of it.
fn turns(
    left: u64,
    fails: bool,
    others: usize,
    enough: usize,
    go_on: usize,
) -> (Vec<u64>, Result<(), &'static str>, bool) {
    let source = Box::new(Frames { left, fails, bytes: Some(1) });
    let make = || -> Make<usize> { Box::new(|decoded| decoded.batch.frames.len()) };
    let mut pipeline = Pipeline::start(source, None, make());
    let (mut numbers, mut firsts, mut asked) = (Vec::new(), Vec::new(), 0);
    let (aside, done_aside) = (AtomicUsize::new(7), AtomicUsize::new(0));
    let done = pipeline.in_turns(
        (0..others).map(|_| make()).collect(),
        || {
            asked += 1;
            asked <= go_on
        },
        |decoded, made| {
            firsts.push(decoded.batch.frames[0].number);
            made + 1
        },
        |decoded, made| {
            assert_eq!(made, 2);
            numbers.push(decoded.batch.frames[0].number);
            if numbers.len() == enough { Err("enough") } else { Ok(()) }
        },
        || {
            let one = aside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
            done_aside.fetch_add(usize::from(one), Ordering::Relaxed);
            Ok(one)
        },
    );
    assert!(firsts.starts_with(&numbers), "every batch has had its first step");
    assert_eq!(done_aside.into_inner(), 7);
    assert!(matches!(pipeline.receive(), Received::End));
    (numbers, done.expect("an input that is at hand"), pipeline.end().is_ok())
}

/// More batches than are read while something is asked fifty times.
const MANY: u64 = 1 << 22;

#[test]
fn every_batch_is_handed_on_in_order_whoever_has_read_it() {
    for others in [0, 1, 2, 5] {
        for left in [0, 1, 20, 1000] {
            let all: Vec<_> = (1..=left).rev().collect();
            assert_eq!(turns(left, false, others, 0, usize::MAX), (all.clone(), Ok(()), true), "{others}");
            // What was read ahead of an error is handed on.
            assert_eq!(turns(left, true, others, 0, usize::MAX), (all, Ok(()), false), "{others}");
        }
        let first: Vec<_> = (991..=1000).rev().collect();
        assert_eq!(turns(1000, false, others, 10, usize::MAX), (first, Err("enough"), true), "{others}");
        assert_eq!(turns(1000, false, 0, 0, 0), (Vec::new(), Ok(()), true));
        // Stopped: nothing more is read, and what was read is handed on.
        let (numbers, done, read) = turns(MANY, false, others, 0, 50);
        assert_eq!((done, read), (Ok(()), true));
        let read: Vec<_> = (1..=MANY).rev().take(numbers.len()).collect();
        assert!(numbers.len() < MANY as usize && numbers == read);
    }
}

#[test]
fn a_panic_in_any_thread_ends_all_of_them() {
    for others in [0, 1, 3] {
        let panicked = std::panic::catch_unwind(|| {
            let source = Box::new(Frames { left: 1000, fails: false, bytes: Some(1) });
            let mut pipeline = Pipeline::<()>::start(source, None, Box::new(|_| ()));
            let others = (0..others).map(|_| -> Make<()> { Box::new(|_| ()) }).collect();
            pipeline.in_turns(
                others,
                || true,
                |_, ()| (),
                |decoded, ()| match decoded.batch.frames[0].number {
                    500 => panic!("as expected"),
                    _ => Ok::<_, ()>(()),
                },
                || Ok(false),
            )
        });
        assert!(panicked.is_err());
    }
}

#[test]
fn an_input_that_has_to_be_waited_for_is_not_read_in_turns() {
    let source = |bytes| Box::new(Frames { left: 3, fails: false, bytes });
    let mut pipeline = Pipeline::<()>::start(source(None), None, Box::new(|_| ()));
    assert_eq!(pipeline.in_turns(Vec::new(), || true, |_, ()| (), |_, ()| Err("called"), || Ok(false)), None);
    let Received::Batch(decoded, ()) = std::iter::repeat_with(|| pipeline.receive())
        .find(|received| !matches!(received, Received::Waiting))
        .expect("repeated for ever")
    else {
        panic!("it gives batches all the same");
    };
    assert_eq!(decoded.batch.frames[0].number, 3);
    let mut begun = Pipeline::<()>::start(source(Some(1)), None, Box::new(|_| ()));
    while matches!(begun.receive(), Received::Waiting) {}
    assert_eq!(begun.in_turns(Vec::new(), || true, |_, ()| (), |_, ()| Err("called"), || Ok(false)), None);
}
