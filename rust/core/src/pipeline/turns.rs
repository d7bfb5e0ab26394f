//! Threads that take turns: each reads a batch, decodes it, and hands it on itself, in two steps, once those before it have
//! been there.
//!
//! So a batch stays in the cache of one core, and no stage waits for another that is slower: there is always a batch to
//! read, to decode or to hand on. Either step is done by one thread at a time, for different batches. Files are read by
//! all beside each other, a piece each; to find the records in a piece is a step too.

use super::{Decoded, Feed, Filler, Input, Make, PATIENCE, Pipeline, lock, side_by_side};
use crate::frame::FrameBatch;
use crate::source::{Piece, SourceError};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

/// Batches that a thread may hold while it waits for its turn: what one thread is late for does not keep the other.
const AHEAD: usize = 4;

/// How often a thread looks whether a lock is free before it sleeps: to read a batch or to hand it on takes less time than to
/// be woken.
const LOOKS: u32 = 1000;

/// A lock that is held for moments only.
fn lock_soon<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..LOOKS {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(error)) => return error.into_inner(),
            Err(TryLockError::WouldBlock) => (0..8).for_each(|_| std::hint::spin_loop()),
        }
    }
    lock(mutex)
}

/// A batch goes through all steps, each when its number is due there, by whoever holds it.
struct Turns<S, F, A> {
    input: Mutex<Numbered>,
    due: Mutex<Due>,
    passed: Condvar,
    first: Mutex<S>,
    each: Mutex<F>,
    aside: A,
}

struct Due {
    /// Numbers of the piece that is next to be parsed, and of the batches that are next in the first step and in the last.
    numbers: [usize; 3],
    /// A thread has failed: nothing is handed on any more.
    over: bool,
    /// Threads that wait for their turn.
    waiting: usize,
}

/// A batch that a thread holds.
struct Held<R> {
    decoded: Decoded,
    next: Next<R>,
}

/// The step that is next for a batch, which has its number from the first on.
enum Next<R> {
    Parse(Piece),
    First(usize, R),
    Each(usize, R),
}

impl<R> Next<R> {
    /// The step, and the number that has to be due there.
    fn turn(&self) -> (usize, usize) {
        match self {
            Self::Parse(piece) => (0, piece.number),
            Self::First(number, _) => (1, *number),
            Self::Each(number, _) => (2, *number),
        }
    }
}

impl Due {
    /// Which of these batches has its turn, in the earliest step if there are several: so the other thread gets at its own
    /// sooner.
    fn of<R>(&self, held: &VecDeque<Held<R>>) -> Option<usize> {
        let turns = held.iter().map(|held| held.next.turn()).enumerate();
        let due = turns.filter(|(_, (step, number))| self.numbers[*step] == *number);
        due.min_by_key(|(_, (step, _))| *step).map(|(at, _)| at)
    }
}

/// Where batches come from, one thread at a time.
struct Numbered {
    input: Input,
    /// How many batches were read.
    read: usize,
    /// The input has ended, has failed, or nobody wants more.
    end: Option<Result<(), SourceError>>,
}

/// What there is to read.
enum Found {
    /// A batch of this number was read.
    Batch(usize),
    /// A piece of a file can be, beside others.
    Piece(Piece),
}

impl Numbered {
    /// Reads a batch, or finds what can be read; `None`: there is no more.
    fn next(&mut self, batch: &mut FrameBatch) -> Option<Found> {
        if self.end.is_some() {
            return None;
        }
        match self.input.source.next_piece() {
            Ok(Some(piece)) => Some(Found::Piece(piece)),
            Ok(None) => {
                let read = self.input.read(batch);
                self.number(read.map(|read| read.is_some())).map(Found::Batch)
            }
            Err(error) => self.number(Err(error)).map(Found::Batch),
        }
    }

    /// Makes a batch of a piece: its number, unless there are no more.
    fn take(&mut self, piece: Piece, batch: &mut FrameBatch) -> Option<usize> {
        if self.end.is_some() {
            return None;
        }
        let taken = self.input.take_piece(piece, batch);
        self.number(taken.map(|()| true))
    }

    fn number(&mut self, read: Result<bool, SourceError>) -> Option<usize> {
        match read {
            Ok(true) => {
                self.read += 1;
                return Some(self.read - 1);
            }
            Ok(false) => self.end = Some(Ok(())),
            Err(error) => self.end = Some(Err(error)),
        }
        None
    }
}

impl<S, F, A> Turns<S, F, A> {
    /// Which of these batches has its turn; waits a moment for that if it `must`. `None`: none is handed on any more.
    fn due<R>(&self, held: &VecDeque<Held<R>>, must: bool) -> Option<Option<usize>> {
        let mut due = lock(&self.due);
        if must {
            due.waiting += 1;
            let early = |due: &mut Due| due.of(held).is_none() && !due.over;
            due = self.passed.wait_timeout_while(due, PATIENCE, early).unwrap_or_else(PoisonError::into_inner).0;
            due.waiting -= 1;
        }
        (!due.over).then_some(due.of(held))
    }

    /// The next batch is due there.
    fn pass(&self, step: usize) {
        self.tell(|due| due.numbers[step] += 1);
    }

    /// None is any more.
    fn over(&self) {
        self.tell(|due| due.over = true);
    }

    fn tell(&self, what: impl FnOnce(&mut Due)) {
        let mut due = lock(&self.due);
        what(&mut due);
        if due.waiting > 0 {
            self.passed.notify_all();
        }
    }
}

/// Ends the waiting of the others if its thread fails.
struct Guard<'a, S, F, A>(&'a Turns<S, F, A>);

impl<S, F, A> Drop for Guard<'_, S, F, A> {
    fn drop(&mut self) {
        self.0.over();
    }
}

impl<S, F, A> Turns<S, F, A> {
    /// What each thread does until the input ends or `go_on` says no. All that was read is handed on.
    fn work<R, E>(&self, make: &mut Make<R>, mut go_on: impl FnMut() -> bool) -> Result<(), E>
    where
        S: FnMut(&mut Decoded, R) -> R,
        F: FnMut(&mut Decoded, R) -> Result<(), E>,
        A: Fn() -> Result<bool, E>,
    {
        let guard = Guard(self);
        let mut decode = |mut decoded: Decoded, number| {
            decoded.decode();
            let made = make(&mut decoded);
            Held { decoded, next: Next::First(number, made) }
        };
        let (mut held, mut used) = (VecDeque::<Held<R>>::new(), Vec::new());
        let mut more = true;
        loop {
            if !go_on() {
                lock(&self.input).end.get_or_insert(Ok(()));
            }
            let Some(due) = self.due(&held, false) else { break }; // another thread has failed, and says why
            if let Some(at) = due {
                let Some(Held { mut decoded, next }) = held.remove(at) else { continue };
                let (step, _) = next.turn();
                match next {
                    Next::Parse(piece) => {
                        let taken = lock_soon(&self.input).take(piece, &mut decoded.batch);
                        self.pass(step);
                        match taken {
                            Some(number) => held.insert(at, decode(decoded, number)),
                            None => more = false,
                        }
                        continue;
                    }
                    Next::First(number, made) => {
                        let made = lock_soon(&self.first)(&mut decoded, made);
                        held.insert(at, Held { decoded, next: Next::Each(number, made) });
                    }
                    Next::Each(_, made) => {
                        lock_soon(&self.each)(&mut decoded, made)?;
                        used.push(decoded);
                    }
                }
                self.pass(step);
            } else if (self.aside)()? {
                // There may be more of it, but what is due comes first.
            } else if more && held.len() < AHEAD {
                let mut decoded = used.pop().unwrap_or_default();
                let found = lock_soon(&self.input).next(&mut decoded.batch);
                match found {
                    Some(Found::Batch(number)) => held.push_back(decode(decoded, number)),
                    Some(Found::Piece(mut piece)) => {
                        piece.read(&mut decoded.batch.data);
                        held.push_back(Held { decoded, next: Next::Parse(piece) });
                    }
                    None => more = false,
                }
            } else if held.is_empty() {
                break;
            } else {
                self.due(&held, true);
            }
        }
        std::mem::forget(guard);
        Ok(())
    }
}

impl<R: Send + 'static> Pipeline<R> {
    /// Reads on to the end: this thread, and one more for each of `others`, which are to make the same of batches. `first`
    /// and then `each` get all batches in order, one at a time, on any of these threads. A thread that has none to hand on
    /// does something `aside`, and reads when that says there is nothing. `go_on` is asked again and again from this thread;
    /// once it says no, no more is read. Behind it, [`Pipeline::receive`] has nothing more and [`Pipeline::end`] says how
    /// reading went. `None` if nothing was done: the input has to be waited for, or its first batches were received already.
    ///
    /// # Errors
    /// What `each` or `aside` said; they get nothing more then.
    pub fn in_turns<E: Send>(
        &mut self,
        mut others: Vec<Make<R>>,
        go_on: impl FnMut() -> bool,
        first: impl FnMut(&mut Decoded, R) -> R + Send,
        each: impl FnMut(&mut Decoded, R) -> Result<(), E> + Send,
        aside: impl Fn() -> Result<bool, E> + Sync,
    ) -> Option<Result<(), E>> {
        let Feed::Idle(filler) = &mut self.feed else { return None };
        let is_fit = |filler: &mut Mutex<Filler<R>>| {
            let filler = filler.get_mut().unwrap_or_else(PoisonError::into_inner);
            filler.share.is_none() && filler.input.source.at_hand().is_some()
        };
        let filler = filler.take_if(is_fit)?.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Filler { input, share, mut make } = filler;
        let turns = Turns {
            input: Mutex::new(Numbered { input, read: 0, end: None }),
            due: Mutex::new(Due { numbers: [0; 3], over: false, waiting: 0 }),
            passed: Condvar::new(),
            first: Mutex::new(first),
            each: Mutex::new(each),
            aside,
        };
        let all = &turns;
        let others = others.iter_mut().map(|make| move || all.work(make, || true));
        let done = side_by_side(|| all.work(&mut make, go_on), others);
        let Numbered { input, end, .. } = turns.input.into_inner().unwrap_or_else(PoisonError::into_inner);
        let filler = Mutex::new(Filler { input, share, make });
        self.feed = Feed::Here { filler, end: Some(end.unwrap_or(Ok(()))) };
        Some(done)
    }
}
