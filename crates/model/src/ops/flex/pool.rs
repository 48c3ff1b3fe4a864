//! Rayon's threads, kept awake between many short operations.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{hint, thread};

use rayon::Yield;

/// Failed attempts to find work after which a thread sleeps: about a millisecond, much longer than the pause between two
/// operations.
const ATTEMPTS: u32 = 30_000;
/// Failed attempts after which it yields to other programs.
const ATTEMPTS_PER_YIELD: u32 = 256;

/// Runs work of many operations inside the pool: from outside, every operation would be handed over and waited for. Meanwhile the
/// other threads poll for work: one that finds none for a few microseconds goes to sleep, and waking it takes longer than many an
/// operation.
pub(super) fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let done = AtomicBool::new(false);
    let done = &done;
    rayon::scope(|scope| {
        let here = rayon::current_thread_index();
        scope.spawn_broadcast(move |_, thread| {
            if Some(thread.index()) != here {
                stay_awake(done);
            }
        });
        let result = work();
        done.store(true, Ordering::Release);
        result
    })
}

/// Ends after a while without work, also since it may be on the stack above a job that another thread waits for.
fn stay_awake(done: &AtomicBool) {
    let mut failed = 0;
    while failed < ATTEMPTS && !done.load(Ordering::Acquire) {
        if rayon::yield_now() == Some(Yield::Executed) {
            failed = 0;
        } else {
            failed += 1;
            if failed % ATTEMPTS_PER_YIELD == 0 { thread::yield_now() } else { hint::spin_loop() }
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    /// Threads that stay awake for one piece of work must not block another whose jobs are below them on the stack.
    #[test]
    fn concurrent_work_ends() {
        thread::scope(|scope| {
            for piece in 0..8_u64 {
                scope.spawn(move || {
                    for round in 0..50 {
                        let sum = |until: u64| (0..until).into_par_iter().sum::<u64>();
                        let last = piece + round + 1;
                        let found = run(|| (0..20).into_par_iter().map(|_| sum(last)).sum::<u64>());
                        assert_eq!(found, 20 * last * (last - 1) / 2);
                    }
                });
            }
        });
    }
}
