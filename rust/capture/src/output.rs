//! Standard output, written on a thread of its own: its reader may be slow or read no more (`| less`), and what is kept is
//! written all the same.

use sniffkit_core::write::open_output;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that are written at once: a slow reader is one that takes these. What a pipe takes whole (`PIPE_BUF`).
const PIECE: usize = 4 << 10;

/// Bytes that wait for the reader before no more are taken.
const MOST: usize = 16 << 20;

/// Once the end is asked for, a reader that takes nothing for so long is not waited for.
const GRACE: Duration = Duration::from_millis(500);

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// What is being written, how much of it has been, and how much in all.
    under_way: Arc<Vec<u8>>,
    written: usize,
    total: u64,
    /// Why nothing more can be written; the error is given once.
    failed: bool,
    error: Option<io::Error>,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is more to write, or the end.
    more: Condvar,
    /// Something was taken to be written, or has been, or failed.
    less: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: writes what waits until the end or an error.
    fn write(&self, out: &mut dyn Write) {
        let mut spare = Vec::new();
        let mut state = self.lock();
        loop {
            while state.waiting.is_empty() {
                if state.ended {
                    return;
                }
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let text = Arc::new(std::mem::replace(&mut state.waiting, spare));
            state.under_way = text.clone();
            self.less.notify_all();
            for piece in text.chunks(PIECE) {
                drop(state);
                let result = out.write_all(piece);
                state = self.lock();
                if let Err(error) = result {
                    (state.failed, state.error) = (true, Some(error));
                    self.less.notify_all();
                    return;
                }
                state.written += piece.len();
                state.total += piece.len() as u64;
            }
            (state.under_way, state.written) = (Arc::default(), 0);
            self.less.notify_all();
            spare = Arc::try_unwrap(text).unwrap_or_default();
            spare.clear();
        }
    }
}

fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// What became of what was to be printed.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    /// Bytes that standard output took.
    pub bytes: u64,
    /// Lines that it did not take: nobody read it.
    pub left_out: u64,
}

/// What is printed, on its way to who reads it.
pub(crate) struct Output {
    shared: Arc<Shared>,
    /// The end was asked for, by somebody who does not want to wait.
    asked: Arc<AtomicBool>,
    given_up: bool,
    left_out: u64,
}

impl Output {
    /// Standard output, on a new thread.
    ///
    /// # Errors
    /// The operating system's, if there is no thread or no standard output.
    pub fn stdout(asked: Arc<AtomicBool>) -> io::Result<Self> {
        Self::to(open_output("-")?, asked)
    }

    fn to(mut out: impl Write + Send + 'static, asked: Arc<AtomicBool>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let at_thread = shared.clone();
        let run = move || at_thread.write(&mut out);
        std::thread::Builder::new().name("sniffkit-print".into()).spawn(run)?;
        Ok(Self { shared, asked, given_up: false, left_out: 0 })
    }

    /// Takes text to be written. Where too much waits already it is left out, whole; with `patient` only if the end was
    /// asked for and the reader takes nothing.
    ///
    /// # Errors
    /// What the operating system said of an earlier text, once.
    pub fn say(&mut self, text: &[u8], patient: bool) -> io::Result<()> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        if patient {
            state = self.until(state, |state| state.waiting.len() < MOST);
        }
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        if self.given_up || state.waiting.len() >= MOST {
            self.left_out += lines(text);
        } else if !text.is_empty() && !state.failed {
            state.waiting.extend_from_slice(text);
            shared.more.notify_one();
        }
        Ok(())
    }

    /// Waits for the reader to take all.
    ///
    /// # Errors
    /// The operating system's, if not given yet.
    pub fn finish(mut self) -> io::Result<Printed> {
        let shared = self.shared.clone();
        let mut state = self.until(shared.lock(), |state| state.waiting.is_empty() && state.under_way.is_empty());
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        if !state.failed {
            self.left_out += lines(&state.waiting) + lines(&state.under_way[state.written..]);
        }
        Ok(Printed { bytes: state.total, left_out: self.left_out })
    }

    /// Waits for this, for an error, or for a reader to show that it does not read.
    fn until<'a>(&mut self, mut state: MutexGuard<'a, State>, done: fn(&State) -> bool) -> MutexGuard<'a, State> {
        const TICK: Duration = Duration::from_millis(50);
        let (mut total, mut since) = (state.total, Instant::now());
        while !self.given_up && !state.failed && !done(&state) {
            let waited = self.shared.less.wait_timeout(state, TICK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.total != total || !self.asked.load(Ordering::Acquire) {
                (total, since) = (state.total, Instant::now());
            }
            self.given_up = since.elapsed() >= GRACE;
        }
        state
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.more.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A pipe whose reader takes a piece for each permission.
    struct Pipe(Receiver<io::Result<()>>, Arc<Mutex<Vec<u8>>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().unwrap_or(Ok(()))?;
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Reader(Sender<io::Result<()>>, Arc<Mutex<Vec<u8>>>, Arc<AtomicBool>);

    fn output() -> (Output, Reader) {
        let (permit, permits) = channel();
        let (read, asked) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<AtomicBool>::default());
        let output = Output::to(Pipe(permits, read.clone()), asked.clone()).unwrap();
        (output, Reader(permit, read, asked))
    }

    #[test]
    fn a_reader_that_reads_late_is_given_all() {
        let (mut output, Reader(permit, read, _)) = output();
        let text: Vec<u8> = (0..40_000u32).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        output.say(&text[..100_000], false).unwrap();
        output.say(&text[100_000..], true).unwrap();
        drop(permit);
        assert_eq!(output.finish().unwrap().left_out, 0);
        assert_eq!(*read.lock().unwrap(), text);
    }

    #[test]
    fn lines_for_a_reader_that_does_not_read_are_counted_and_the_end_comes() {
        let (mut output, Reader(_permit, _, asked)) = output();
        output.say(b"1\n2\n", true).unwrap();
        output.say(&b"line\n".repeat(MOST / 4), false).unwrap();
        output.say(b"too much\n", false).unwrap();
        assert_eq!(output.left_out, 1);
        asked.store(true, Ordering::Release);
        output.say(b"patient\n", true).unwrap(); // gives up, or would wait for ever
        assert_eq!(output.finish().unwrap().left_out, 2 + MOST as u64 / 4 + 2);
    }

    #[test]
    fn an_error_is_told_once() {
        let (mut output, Reader(permit, _, _)) = output();
        permit.send(Err(ErrorKind::BrokenPipe.into())).unwrap();
        output.say(b"1\n", true).unwrap();
        let error = loop {
            if let Err(error) = output.say(b"", false) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        output.say(b"2\n", true).unwrap();
        assert_eq!(output.finish().unwrap().left_out, 0);
    }
}
