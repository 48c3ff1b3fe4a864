//! Work on rayon's threads, kept awake between its many short operations.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{hint, thread};

use rayon::Yield;

/// How often a thread looks for work in vain before it goes to sleep: about a millisecond, much longer than what lies between
/// two operations.
const PATIENCE: u32 = 30_000;
/// How often before it lets other programs go first, which may have something to do.
const TURN: u32 = 256;

/// Does a piece of work of many operations on the pool. From outside, every operation would be handed over and waited for. And a
/// thread that finds nothing to do for a few microseconds goes to sleep, and waking it takes longer than many an operation does:
/// so the others look for work until this is done, or they have found none for long.
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

/// It ends without work after a while also because it may have been started above a job that somebody waits for.
fn stay_awake(done: &AtomicBool) {
    let mut in_vain = 0;
    while in_vain < PATIENCE && !done.load(Ordering::Acquire) {
        if rayon::yield_now() == Some(Yield::Executed) {
            in_vain = 0;
        } else {
            in_vain += 1;
            if in_vain % TURN == 0 { thread::yield_now() } else { hint::spin_loop() }
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    /// Threads that keep awake for one piece of work must not hold up another whose jobs lie below them.
    #[test]
    fn pieces_of_work_end_side_by_side() {
        thread::scope(|scope| {
            for piece in 0..8_u64 {
                scope.spawn(move || {
                    for turn in 0..50 {
                        let sum = |until: u64| (0..until).into_par_iter().sum::<u64>();
                        let last = piece + turn + 1;
                        let found = run(|| (0..20).into_par_iter().map(|_| sum(last)).sum::<u64>());
                        assert_eq!(found, 20 * last * (last - 1) / 2);
                    }
                });
            }
        });
    }
}
