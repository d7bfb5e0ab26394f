//! Threads beside this one, for work that is over in a fraction of a second.

use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::panic::resume_unwind;
use std::sync::mpsc::channel;

/// How many threads run at a time.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Does something on this thread and others on threads of their own, until all are done: what the first that failed said.
pub(crate) fn side_by_side<E: Send, W: FnOnce() -> Result<(), E> + Send>(
    own: impl FnOnce() -> Result<(), E>,
    others: impl Iterator<Item = W>,
) -> Result<(), E> {
    let (begins, begun) = channel();
    std::thread::scope(|scope| {
        let beside = |work: W| {
            let begins = begins.clone();
            let here = sched_getcpu();
            scope.spawn(move || {
                leave(here);
                // Nobody waits any more if not: then it may begin as well.
                let _ = begins.send(());
                work()
            })
        };
        let threads: Vec<_> = others.map(beside).collect();
        // They stand behind this thread at the same processor: once it sleeps they can leave.
        for _ in &threads {
            let _ = begun.recv();
        }
        let done = own();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.fold(done, Result::and)
    })
}

/// Moves this thread to another processor, if there is one for it: some systems leave a new one where it was made for several
/// milliseconds, although another is idle.
fn leave(processor: usize) {
    let Ok(all) = sched_getaffinity(None) else { return };
    let mut others = all;
    others.unset(processor);
    if sched_getcpu() == processor && others.count() > 0 && sched_setaffinity(None, &others).is_ok() {
        let _ = sched_setaffinity(None, &all); // it was allowed before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_go_where_they_may_and_stay_free() {
        let before = sched_getaffinity(None).expect("a thread may ask");
        let after = std::thread::spawn(|| {
            leave(sched_getcpu());
            sched_getaffinity(None)
        });
        assert_eq!(after.join().expect("no panic").expect("a thread may ask"), before);
    }

    #[test]
    fn the_first_that_fails_is_told() {
        let ran = std::sync::atomic::AtomicUsize::new(0);
        let work = |at: usize| {
            let ran = &ran;
            move || {
                ran.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if at == 1 { Ok(()) } else { Err(at) }
            }
        };
        assert_eq!(side_by_side(work(1), [2, 1, 3].map(work).into_iter()), Err(2));
        assert_eq!(side_by_side(work(5), [2].map(work).into_iter()), Err(5));
        assert_eq!(side_by_side(work(1), std::iter::empty::<fn() -> Result<(), usize>>()), Ok(()));
        assert_eq!(ran.into_inner(), 7);
    }
}
