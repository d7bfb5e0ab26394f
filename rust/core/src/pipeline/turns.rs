//! Threads that take turns: each reads a batch, decodes it, and hands it on itself once those before it have been.
//!
//! So a batch stays in the cache of one core, and no stage waits for another that is slower: there is always a batch to
//! read, to decode or to hand on. Reading and handing on are each done by one thread at a time, for different batches.

use super::{Decoded, Feed, Filler, Input, Make, PATIENCE, Pipeline, lock, side_by_side};
use crate::frame::FrameBatch;
use crate::source::SourceError;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

/// Batches that a thread may hold while it waits for its turn: what one thread is late for does not keep the other.
const AHEAD: usize = 8;

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

/// A batch is handed on by whoever holds it, when its number is due.
struct Turns<F> {
    input: Mutex<Numbered>,
    due: Mutex<Due>,
    passed: Condvar,
    each: Mutex<F>,
}

struct Due {
    /// Number of the batch that is handed on next.
    number: usize,
    /// A thread has failed: nothing is handed on any more.
    over: bool,
    /// Threads that wait for their turn.
    waiting: usize,
}

/// Where batches come from, one thread at a time.
struct Numbered {
    input: Input,
    /// How many batches were read.
    read: usize,
    /// The input has ended, has failed, or nobody wants more.
    end: Option<Result<(), SourceError>>,
}

impl Numbered {
    /// Reads a batch: its number, unless there are no more.
    fn read(&mut self, batch: &mut FrameBatch) -> Option<usize> {
        if self.end.is_some() {
            return None;
        }
        match self.input.read(batch) {
            Ok(Some(_)) => {
                self.read += 1;
                return Some(self.read - 1);
            }
            Ok(None) => self.end = Some(Ok(())),
            Err(error) => self.end = Some(Err(error)),
        }
        None
    }
}

impl<F> Turns<F> {
    /// Whether a batch is due; waits a moment for that if it `must`. `None`: none is any more.
    fn is_due(&self, number: usize, must: bool) -> Option<bool> {
        let mut due = lock(&self.due);
        if must && due.number < number && !due.over {
            due.waiting += 1;
            let early = |due: &mut Due| due.number < number && !due.over;
            due = self.passed.wait_timeout_while(due, PATIENCE, early).unwrap_or_else(PoisonError::into_inner).0;
            due.waiting -= 1;
        }
        (!due.over).then_some(due.number == number)
    }

    /// The next batch is due; or none is any more.
    fn pass(&self, over: bool) {
        let mut due = lock(&self.due);
        due.number += 1;
        due.over |= over;
        if due.waiting > 0 {
            self.passed.notify_all();
        }
    }
}

/// Ends the waiting of the others if its thread panics.
struct Guard<'a, F>(&'a Turns<F>);

impl<F> Drop for Guard<'_, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.pass(true);
        }
    }
}

impl<F> Turns<F> {
    /// What each thread does until the input ends or `go_on` says no. All that was read is handed on.
    fn work<R, E>(&self, make: &mut Make<R>, mut go_on: impl FnMut() -> bool) -> Result<(), E>
    where
        F: FnMut(&mut Decoded, R) -> Result<(), E>,
    {
        let _guard = Guard(self);
        let (mut held, mut used) = (VecDeque::<(usize, Decoded, R)>::new(), Vec::new());
        let mut more = true;
        loop {
            if !go_on() {
                lock(&self.input).end.get_or_insert(Ok(()));
            }
            let must = !more || held.len() == AHEAD;
            let due = match held.front() {
                Some((number, ..)) => self.is_due(*number, must),
                None if more => Some(false),
                None => return Ok(()),
            };
            match due {
                None => return Ok(()), // another thread has failed, and says why
                Some(true) => {
                    let Some((_, mut decoded, made)) = held.pop_front() else { continue };
                    let done = lock_soon(&self.each)(&mut decoded, made);
                    self.pass(done.is_err());
                    done?;
                    used.push(decoded);
                }
                Some(false) if must => {}
                Some(false) => {
                    let mut decoded = used.pop().unwrap_or_default();
                    let number = lock_soon(&self.input).read(&mut decoded.batch);
                    more = number.is_some();
                    if let Some(number) = number {
                        decoded.decode();
                        let made = make(&mut decoded);
                        held.push_back((number, decoded, made));
                    }
                }
            }
        }
    }
}

impl<R: Send + 'static> Pipeline<R> {
    /// Reads on to the end: this thread, and one more for each of `others`, which are to make the same of batches. `each`
    /// gets all batches in order, one at a time, on any of these threads. `go_on` is asked again and again from this thread;
    /// once it says no, no more is read. Behind it, [`Pipeline::receive`] has nothing more and [`Pipeline::end`] says how
    /// reading went. `None` if nothing was done: the input has to be waited for, or its first batches were received already.
    ///
    /// # Errors
    /// What `each` said; it gets nothing more then.
    pub fn in_turns<E: Send>(
        &mut self,
        mut others: Vec<Make<R>>,
        go_on: impl FnMut() -> bool,
        each: impl FnMut(&mut Decoded, R) -> Result<(), E> + Send,
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
            due: Mutex::new(Due { number: 0, over: false, waiting: 0 }),
            passed: Condvar::new(),
            each: Mutex::new(each),
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
