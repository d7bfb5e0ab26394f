//! What threads make side by side, handed on in order.

use crate::pipeline::lock;
use std::collections::BTreeMap;
use std::sync::{Mutex, TryLockError};

/// Hands numbered parts on in order of their numbers, from 0: whoever brings the next one does it, and all others go on.
pub struct InOrder<T, F> {
    waiting: Mutex<Waiting<T>>,
    to: Mutex<F>,
    /// So many parts may wait; then whoever brings one more waits too.
    at_most: usize,
}

struct Waiting<T> {
    parts: BTreeMap<usize, T>,
    next: usize,
}

impl<T> Waiting<T> {
    fn take(&mut self) -> Option<T> {
        let part = self.parts.remove(&self.next)?;
        self.next += 1;
        Some(part)
    }
}

impl<T, E, F: FnMut(T) -> Result<(), E>> InOrder<T, F> {
    /// Hands parts to `to`.
    pub fn new(to: F, at_most: usize) -> Self {
        let waiting = Waiting { parts: BTreeMap::new(), next: 0 };
        Self { waiting: Mutex::new(waiting), to: Mutex::new(to), at_most }
    }

    /// Brings part number `at`; each once.
    ///
    /// # Errors
    /// What `to` said of this or another part. Nothing is handed on after that.
    pub fn put(&self, at: usize, part: T) -> Result<(), E> {
        lock(&self.waiting).parts.insert(at, part);
        loop {
            let (is_next, many) = {
                let waiting = lock(&self.waiting);
                (waiting.parts.contains_key(&waiting.next), waiting.parts.len() > self.at_most)
            };
            if !is_next {
                return Ok(());
            }
            let mut to = match self.to.try_lock() {
                Ok(to) => to,
                // Whoever has it looks again behind the part at hand.
                Err(TryLockError::WouldBlock) if !many => return Ok(()),
                Err(_) => lock(&self.to),
            };
            // Not `while let`, which would keep the lock meanwhile.
            loop {
                let Some(part) = lock(&self.waiting).take() else { break };
                if let Err(error) = to(part) {
                    let mut waiting = lock(&self.waiting);
                    (waiting.next, waiting.parts) = (usize::MAX, BTreeMap::new());
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// So many parts from three threads, each a while behind the others in turn; what came until `fails`.
    fn bring(parts: usize, fails: usize) -> (Vec<usize>, bool) {
        let (mut came, next) = (Vec::new(), AtomicUsize::new(0));
        let to = |part| {
            if part == fails {
                return Err(());
            }
            came.push(part);
            Ok(())
        };
        let in_order = InOrder::new(to, 2);
        let good = std::thread::scope(|scope| {
            let work = || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= parts {
                        return true;
                    }
                    for _ in 0..at * 7919 % 13 {
                        std::thread::yield_now();
                    }
                    if in_order.put(at, at).is_err() {
                        return false;
                    }
                }
            };
            let threads = [(); 3].map(|()| scope.spawn(work));
            threads.into_iter().all(|thread| thread.join().unwrap_or(false))
        });
        drop(in_order);
        (came, good)
    }

    #[test]
    fn parts_go_on_in_order_until_one_fails() {
        for _ in 0..50 {
            assert_eq!(bring(100, usize::MAX), ((0..100).collect(), true));
            assert_eq!(bring(100, 60), ((0..60).collect(), false));
        }
        assert_eq!(bring(0, 0), (Vec::new(), true));
    }
}
